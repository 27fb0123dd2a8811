import numpy as np
import pytest

from genservice.training.metrics.spread import mean_pairwise_distance, within_label_distance


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
