import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from genservice.training.metrics import neighbours
from genservice.training.metrics.neighbours import near_copies, nearest_distances, precision_and_recall


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_precision_and_recall_by_hand() -> None:
    # With k = 1 each real row's ball has the radius 1, and those of the samples 1, 1, 5 and 5.
    real, samples = column(0, 1, 10, 11), column(0.5, 1.5, 20, 25)
    # 0.5 and 1.5 lie in the balls of 0 and 1; the ball of 0.5 has 0 and 1, and no ball has 10 or 11.
    assert precision_and_recall(samples, real, k=1) == (0.5, 0.5)


def test_samples_of_one_place_are_precise_and_recall_little() -> None:
    random = np.random.default_rng(0)
    real = random.standard_normal((500, 2))
    precision, recall = precision_and_recall(0.05 * random.standard_normal((500, 2)), real)
    assert precision > 0.95
    assert recall < 0.1
    spread_precision, spread_recall = precision_and_recall(4 * random.standard_normal((500, 2)), real)
    assert spread_precision < 0.5
    assert spread_recall > 0.8


def test_precision_and_recall_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    samples, real = random.standard_normal((90, 3)), random.standard_normal((110, 3))
    whole = precision_and_recall(samples, real)
    monkeypatch.setattr(neighbours, "_BLOCK_ELEMENTS", 700)
    assert precision_and_recall(samples, real) == whole


def test_precision_is_that_of_the_balls_of_scikit_learns_neighbours() -> None:
    random = np.random.default_rng(2)
    samples, real = random.standard_normal((60, 2)), random.standard_normal((60, 2))
    radii = NearestNeighbors(n_neighbors=4).fit(real).kneighbors(real)[0][:, 3]
    inside = (np.linalg.norm(samples[:, None] - real[None], axis=2) <= radii).any(axis=1)
    assert precision_and_recall(samples, real)[0] == inside.mean()


def test_nearest_distances_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    rows, reference = random.standard_normal((30, 5)) + 100, random.standard_normal((200, 5)) + 100
    expected = NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(rows)[0][:, 0]
    np.testing.assert_allclose(nearest_distances(rows, reference), expected, rtol=1e-6)


def test_the_distance_of_a_copy_is_zero_far_from_the_origin() -> None:
    reference = np.random.default_rng(4).standard_normal((50, 3)).astype(np.float32) + 1e3
    assert nearest_distances(reference[:5], reference).tolist() == [0] * 5


def test_near_copies_are_nearer_than_held_out_rows_come() -> None:
    # Held-out rows lie 1 to 100 away from the nearest training row, so 1 % of them are nearer than 1.99.
    training, held_out = column(0), column(*range(1, 101))
    samples = column(0, 0.5, 1.9, 2, 50)
    assert near_copies(samples, held_out, training) == (0.6, 0.01)
