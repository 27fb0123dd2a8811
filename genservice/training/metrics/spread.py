"""How varied rows are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_pairwise_distance(rows: NDArray[Any]) -> float:
    """Mean Euclidean distance of all pairs of different rows.

    Args:
        rows: `[rows, ...]`, at least two.
    """
    flat = np.asarray(rows, np.float64).reshape(len(rows), -1)
    flat = flat - flat.mean(axis=0)
    lengths = (flat**2).sum(axis=1)
    squares = lengths[:, None] + lengths[None, :] - 2 * flat @ flat.T
    return float(np.sqrt(squares[np.triu_indices(len(flat), 1)].clip(0)).mean())


def within_label_distance(
    rows: NDArray[Any], labels: NDArray[Any], *, rows_per_label: int = 250, seed: int = 0
) -> float:
    """Mean distance of two rows of one label: how varied the rows of a label are, averaged over the labels.

    Args:
        rows: `[rows, ...]`.
        labels: int `[rows]`; at least two rows of each label that occurs.
        rows_per_label: Rows of each label that are compared, all pairs of them.
        seed: Seed of the choice of these.
    """
    generator = np.random.default_rng(seed)
    distances = []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen = generator.permutation(places)[:rows_per_label]
        distances.append(mean_pairwise_distance(rows[chosen]))
    return float(np.mean(distances))
