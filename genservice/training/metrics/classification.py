"""How good labels and their probabilities are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
