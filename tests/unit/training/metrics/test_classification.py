import numpy as np
import pytest
from sklearn.metrics import f1_score

from genservice.training.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
)


def test_accuracy_counts_the_rows_that_agree() -> None:
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75


def test_a_confusion_matrix_has_a_row_for_each_true_label() -> None:
    confusion = confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_macro_f1_is_the_mean_over_the_labels() -> None:
    # F1 of the labels: 2/3, 1/2, and 0 for one that was predicted and never right.
    confusion = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]])
    assert macro_f1(confusion) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_macro_f1_of_a_label_that_never_occurs_is_zero() -> None:
    assert macro_f1(np.array([[3, 0], [0, 0]])) == pytest.approx(0.5)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, (2, 200))
    expected = f1_score(labels, predicted, average="macro")
    assert macro_f1(confusion_matrix(predicted, labels, 4)) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    # Two bins of (0, 0.5] and (0.5, 1]: of two rows at 0.5 one is right; of two at 0.9 and 0.7 both are.
    probabilities = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0.9, 0.1, 0], [0.1, 0.7, 0.2]])
    error = expected_calibration_error(probabilities, np.array([0, 2, 0, 1]), bins=2)
    assert error == pytest.approx((2 * abs(0.5 - 0.5) + 2 * abs(1 - 0.8)) / 4)


def test_a_sure_and_right_classifier_is_calibrated() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0
