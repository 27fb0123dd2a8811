import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice.training.metrics import (
    Gaussian,
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    frechet_distance,
    macro_f1,
    mean_pairwise_distance,
    within_label_distance,
)


def gaussian(mean: list[float], covariance: list[list[float]]) -> Gaussian:
    return Gaussian(np.array(mean, float), np.array(covariance, float))


def test_a_gaussian_has_the_mean_and_the_unbiased_covariance_of_the_rows() -> None:
    fitted = Gaussian.fitted(np.array([[0, 0], [2, 4]], np.float32))
    assert fitted.mean.tolist() == [1, 2]
    assert fitted.covariance.tolist() == [[2, 4], [4, 8]]


def test_frechet_distance_in_one_dimension_is_that_of_means_and_deviations() -> None:
    # (2 - 5)² + (3 - 1)²
    assert frechet_distance(gaussian([2], [[9]]), gaussian([5], [[1]])) == pytest.approx(13)


def test_frechet_distance_of_diagonal_covariances_is_the_sum_over_the_dimensions() -> None:
    one, other = gaussian([0, 1], [[4, 0], [0, 1]]), gaussian([1, 1], [[1, 0], [0, 25]])
    assert frechet_distance(one, other) == pytest.approx(1 + (2 - 1) ** 2 + (1 - 5) ** 2)


def test_frechet_distance_of_covariances_that_do_not_commute() -> None:
    first, second = np.array([[2.0, 1], [1, 2]]), np.array([[3.0, 0], [0, 1]])
    # Of a matrix of 2 by 2 with eigenvalues a and b: Tr(M^½)² = a + b + 2 (a b)^½ = Tr(M) + 2 det(M)^½.
    product = first @ second
    trace_of_root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(first) + np.trace(second) - 2 * trace_of_root
    assert frechet_distance(Gaussian(np.zeros(2), first), Gaussian(np.zeros(2), second)) == pytest.approx(expected)


def test_frechet_distance_of_singular_covariances_is_a_real_number() -> None:
    one, other = gaussian([0, 0], [[1, 1], [1, 1]]), gaussian([0, 0], [[1, -1], [-1, 1]])
    assert frechet_distance(one, other) == pytest.approx(4)


@given(st.integers(0, 2**32 - 1))
def test_frechet_distance_is_symmetric_and_zero_to_itself(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = (Gaussian.fitted(generator.standard_normal((9, 5))) for _ in range(2))
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


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


def test_calibration_error_by_hand() -> None:
    # Two bins of (0, 0.5] and (0.5, 1]: of two rows at 0.5 one is right; of two at 0.9 and 0.7 both are.
    probabilities = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0.9, 0.1, 0], [0.1, 0.7, 0.2]])
    error = expected_calibration_error(probabilities, np.array([0, 2, 0, 1]), bins=2)
    assert error == pytest.approx((2 * abs(0.5 - 0.5) + 2 * abs(1 - 0.8)) / 4)


def test_a_sure_and_right_classifier_is_calibrated() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0


def test_mean_pairwise_distance_leaves_out_the_distance_to_itself() -> None:
    assert mean_pairwise_distance(np.array([[0, 0], [3, 4], [6, 8]])) == pytest.approx((5 + 5 + 10) / 3)


def test_mean_pairwise_distance_is_exact_far_from_the_origin() -> None:
    assert mean_pairwise_distance(np.array([[1e6], [1e6 + 1]])) == pytest.approx(1)


def test_distance_within_labels_ignores_how_far_the_labels_are_apart() -> None:
    rows, labels = np.array([[0.0], [2], [100], [104]]), np.array([0, 0, 1, 1])
    assert within_label_distance(rows, labels) == pytest.approx((2 + 4) / 2)


def test_distance_within_labels_follows_from_the_seed() -> None:
    rows, labels = np.random.default_rng(0).standard_normal((100, 3)), np.zeros(100, int)
    first, again, other = (within_label_distance(rows, labels, rows_per_label=5, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
