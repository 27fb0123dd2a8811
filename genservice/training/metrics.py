"""What models are measured by. NumPy alone."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution.

    Args:
        mean: float64 `[dimensions]`.
        covariance: float64 `[dimensions, dimensions]`.
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def fitted(cls, features: NDArray[Any]) -> Self:
        """The distribution with the mean and the unbiased covariance of some vectors.

        Args:
            features: `[rows, dimensions]`, at least two rows.
        """
        rows = np.asarray(features, np.float64)
        return cls(rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)))


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Squared Fréchet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500, eq. 6).

    d² = |μ₁ - μ₂|² + Tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½). The last trace is taken as that of (Σ₁^½ Σ₂ Σ₁^½)^½, which has the same
    eigenvalues and is symmetric: no complex numbers come up where a covariance is singular.

    Args:
        one: A distribution.
        other: Another, of as many dimensions.
    """
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace_of_root = np.sqrt(np.linalg.eigvalsh(root @ other.covariance @ root).clip(0)).sum()
    difference = one.mean - other.mean
    distance = difference @ difference + np.trace(one.covariance) + np.trace(other.covariance) - 2 * trace_of_root
    return max(float(distance), 0.0)


def accuracy(predicted: NDArray[Any], labels: NDArray[Any]) -> float:
    """Part of the rows where two labellings agree.

    Args:
        predicted: int `[rows]`.
        labels: int `[rows]`.
    """
    return float(np.mean(predicted == labels))


def confusion_matrix(predicted: NDArray[Any], labels: NDArray[Any], label_count: int) -> NDArray[np.int64]:
    """How often each label was taken for each.

    Args:
        predicted: int `[rows]`.
        labels: int `[rows]`.
        label_count: Number of labels.

    Returns:
        int64 `[labels, labels]`: a row for each true label, a column for each predicted one.
    """
    flat = np.bincount(labels * label_count + predicted, minlength=label_count**2)
    return flat.reshape(label_count, label_count).astype(np.int64)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean over the labels of the harmonic mean of precision and recall; 0 for a label that never occurs.

    Args:
        confusion: As `confusion_matrix` returns it.
    """
    doubled_hits = 2 * np.diag(confusion)
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(doubled_hits / np.maximum(either, 1)))


def expected_calibration_error(probabilities: NDArray[Any], labels: NDArray[Any], bins: int = 15) -> float:
    """How far confidence is from accuracy, on average (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        probabilities: `[rows, labels]`.
        labels: int `[rows]`.
        bins: Number of intervals of equal length that the confidences are put into, each open at its lower end.
    """
    confidence = np.asarray(probabilities, np.float64).max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(places, correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


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
