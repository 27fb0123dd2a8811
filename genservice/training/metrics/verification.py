"""How well distances tell whether two inputs show the same."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """The receiver operating characteristic of a distance: pairs below a threshold are taken for the same.

    Args:
        thresholds: Ascending; the first is below all distances.
        false_positive_rate: Part of the different pairs that is taken for the same, float64 `[thresholds]`.
        true_positive_rate: Part of the same pairs that is, float64 `[thresholds]`.
    """

    thresholds: Floats
    false_positive_rate: Floats
    true_positive_rate: Floats

    @classmethod
    def of(cls, distances: NDArray[Any], same: NDArray[np.bool_]) -> Self:
        """Counts at each distance that occurs (Fawcett 2006, algorithm 1).

        Args:
            distances: Of the pairs, `[pairs]`.
            same: Which pairs are the same; some are and some are not.
        """
        order = np.argsort(distances, kind="stable")
        ordered, hits = np.asarray(distances, np.float64)[order], same[order]
        last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
        return cls(
            np.concatenate([[-np.inf], ordered[last]]),
            np.concatenate([[0], false / false[-1]]),
            np.concatenate([[0], true / true[-1]]),
        )

    @property
    def auc(self) -> float:
        """Area under the curve: the probability that a same pair is nearer than a different one, ties counted half."""
        heights = (self.true_positive_rate[1:] + self.true_positive_rate[:-1]) / 2
        return float(np.diff(self.false_positive_rate) @ heights)

    def true_positives_at(self, false_positive_rate: float) -> float:
        """The greatest true positive rate of a threshold that has at most this false positive rate."""
        return float(self.true_positive_rate[self.false_positive_rate <= false_positive_rate].max())


def pair_distances(embeddings: NDArray[Any]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Euclidean distances of all pairs of different rows.

    Args:
        embeddings: `[rows, dimensions]`.

    Returns:
        Distances, float64 `[pairs]`, and the places of the first and the second row of each pair.
    """
    rows = np.asarray(embeddings, np.float64)
    one, other = np.triu_indices(len(rows), 1)
    squares = (rows**2).sum(axis=1)
    # An inner product of each pair, without a copy of each pair's rows.
    products = (rows @ rows.T)[one, other]
    return np.sqrt((squares[one] + squares[other] - 2 * products).clip(0)), one, other


def rank_one(embeddings: NDArray[Any], labels: NDArray[Any]) -> float:
    """Part of the inputs whose nearest entry of a gallery has their label.

    The gallery has one input of each label, and all others are asked about. That is done with the first input of each
    label in the gallery, with the second, and so on; the result is the mean over all.

    Args:
        embeddings: `[rows, dimensions]`.
        labels: int `[rows]`, each at least twice.
    """
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    hits = asked = 0
    for number in range(min(map(len, places))):
        gallery = np.array([rows[number] for rows in places])
        probes = np.setdiff1d(np.arange(len(labels)), gallery)
        distances = np.linalg.norm(embeddings[probes, None] - embeddings[None, gallery], axis=2)
        hits += int((labels[gallery][distances.argmin(axis=1)] == labels[probes]).sum())
        asked += len(probes)
    return hits / asked
