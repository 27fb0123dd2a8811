import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from genservice.training.metrics.distances import Gaussian, frechet_distance, kernel_distance


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


def test_frechet_distance_of_covariances_that_do_not_commute_is_that_of_the_matrix_root() -> None:
    first, second = np.array([[2.0, 1], [1, 2]]), np.array([[3.0, 0], [0, 1]])
    expected = np.trace(first) + np.trace(second) - 2 * np.trace(sqrtm(first @ second)).real
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


def test_kernel_distance_by_hand() -> None:
    # In one dimension k(x, y) = (x y + 1)³: within {0, 1} it is 1, within {1, 2} 27, between them 1, 1, 8 and 27.
    distance = kernel_distance(np.array([[0.0], [1]]), np.array([[1.0], [2]]))
    assert distance == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_distance_has_the_kernel_of_the_paper() -> None:
    random = np.random.default_rng(1)
    x, y = random.standard_normal((7, 3)), random.standard_normal((7, 3))

    def k(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return polynomial_kernel(one, other, degree=3, gamma=1 / 3, coef0=1)

    apart = ~np.eye(7, dtype=bool)
    expected = k(x, x)[apart].mean() + k(y, y)[apart].mean() - 2 * k(x, y).mean()
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_kernel_distance_is_the_mean_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genservice.training.metrics.distances.BLOCK_ROWS", 5)
    random = np.random.default_rng(2)
    x, y = random.standard_normal((9, 2)), random.standard_normal((9, 2))
    expected = (kernel_distance(x[:5], y[:5]) + kernel_distance(x[5:], y[5:])) / 2
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_kernel_distance_of_one_distribution_is_zero_on_average() -> None:
    random = np.random.default_rng(3)
    distances = [kernel_distance(*random.standard_normal((2, 50, 4))) for _ in range(200)]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / np.sqrt(200)
    assert min(distances) < 0
