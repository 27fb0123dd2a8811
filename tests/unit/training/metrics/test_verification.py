import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score, roc_curve

from genservice.training.metrics.verification import Roc, pair_distances, rank_one


def test_a_characteristic_by_hand() -> None:
    roc = Roc.of(np.array([0.1, 0.2, 0.2, 0.4]), np.array([True, True, False, False]))
    assert roc.thresholds.tolist() == [-np.inf, 0.1, 0.2, 0.4]
    assert roc.true_positive_rate.tolist() == [0, 0.5, 1, 1]
    assert roc.false_positive_rate.tolist() == [0, 0, 0.5, 1]
    # Of the four pairs of a same and a different one, three are in order and one is a tie.
    assert roc.auc == pytest.approx(3.5 / 4)


def test_the_rate_at_a_rate_is_that_of_a_threshold_that_there_is() -> None:
    roc = Roc.of(np.array([0.1, 0.2, 0.2, 0.4]), np.array([True, True, False, False]))
    assert [roc.true_positives_at(rate) for rate in (0, 0.49, 0.5, 1)] == [0.5, 0.5, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2).filter(lambda p: len({s for _, s in p}) == 2))
def test_curve_and_area_are_those_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    distances, same = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])
    roc = Roc.of(distances, same)
    assert roc.auc == pytest.approx(roc_auc_score(same, -distances))
    false, true, _ = roc_curve(same, -distances, drop_intermediate=False)
    np.testing.assert_allclose(roc.false_positive_rate, false)
    np.testing.assert_allclose(roc.true_positive_rate, true)


def test_pair_distances_are_of_all_pairs_once() -> None:
    rows = np.random.default_rng(0).standard_normal((7, 3))
    distances, one, other = pair_distances(rows)
    np.testing.assert_allclose(distances, pdist(rows))
    assert (one < other).all()
    np.testing.assert_allclose(np.linalg.norm(rows[one] - rows[other], axis=1), distances)


def test_rank_one_by_hand() -> None:
    # In the gallery 0 and 10: 1 is nearer to 0, 4 to 0 and not to its own 10. In it 1 and 4: 0 is nearer to 1, 10 to 4.
    assert rank_one(np.array([[0.0], [1], [10], [4]]), np.array([0, 0, 1, 1])) == pytest.approx(3 / 4)
