"""Temperature, top-k and top-p cut exactly what they say."""

import numpy as np
import pytest

from genservice_autoregressive.sampling import heat, keep_top_k, keep_top_p, restrict

LOGITS = np.log(np.array([[0.1, 0.4, 0.2, 0.3]], np.float32))
TIES = np.array([[1.0, 2.0, 2.0, 2.0, 0.0]], np.float32)
INFINITY = float("inf")


def left(logits):
    """Numbers of what may still be drawn."""
    return np.flatnonzero(np.asarray(logits)[0] > -INFINITY).tolist()


def column(value, kind=np.float32):
    return np.array([value], kind)


def test_the_temperature_is_the_power_of_the_probabilities():
    for temperature in (0.5, 1.0, 2.0):
        heated = np.exp(np.asarray(heat(LOGITS, column(temperature))))
        expected = np.exp(LOGITS) ** (1 / temperature)
        np.testing.assert_allclose(heated / heated.sum(), expected / expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-38, 1e-20, 1e-10])
def test_a_temperature_of_nothing_or_next_to_it_leaves_the_likeliest(temperature):
    heated = np.asarray(heat(LOGITS, column(temperature)))
    assert not np.isnan(heated).any()
    assert np.exp(heated).tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("top_k", "kept"), [(0, [0, 1, 2, 3]), (1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (9, [0, 1, 2, 3])]
)
def test_top_k_leaves_so_many_of_the_likeliest(top_k, kept):
    assert left(keep_top_k(LOGITS, column(top_k, np.int64))) == kept


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.0, [1]), (1e-9, [1]), (0.39, [1]), (0.5, [1, 3]), (0.69, [1, 3]), (0.8, [1, 2, 3])]
)
def test_top_p_leaves_the_fewest_that_have_the_probability(top_p, kept):
    assert left(keep_top_p(LOGITS, column(top_p))) == kept


def test_what_is_left_keeps_its_logits():
    for cut in (keep_top_p(LOGITS, column(0.5)), keep_top_k(LOGITS, column(2, np.int64))):
        np.testing.assert_array_equal(np.asarray(cut)[0, [1, 3]], LOGITS[0, [1, 3]])


def test_of_equally_likely_ones_the_first_count_as_likelier():
    assert left(keep_top_k(TIES, column(1, np.int64))) == [1]
    assert left(keep_top_k(TIES, column(2, np.int64))) == [1, 2]
    assert left(keep_top_p(TIES, column(0.4))) == [1, 2]
    assert left(heat(TIES, column(0.0))) == [1]
    assert left(keep_top_p(np.zeros((1, 4), np.float32), column(0.5))) == [0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_top_k_of_one_and_top_p_of_next_to_nothing_and_no_temperature_are_the_argmax(seed):
    logits = np.random.default_rng(seed).normal(0, 3, (32, 84)).astype(np.float32)
    rows = len(logits)
    one, none = np.ones(rows, np.float32), np.zeros(rows, np.int64)
    for cut in (
        restrict(logits, one, np.ones(rows, np.int64), one),
        restrict(logits, one, none, one * np.float32(1e-6)),
        restrict(logits, one * 0, none, one),
    ):
        assert (np.sum(np.asarray(cut) > -INFINITY, axis=1) == 1).all()
        np.testing.assert_array_equal(np.argmax(cut, axis=1), np.argmax(logits, axis=1))


def test_by_default_nothing_is_cut_even_where_sums_round_to_one():
    logits = np.random.default_rng(0).normal(0, 12, (64, 84)).astype(np.float32)
    one = np.ones(64, np.float32)
    assert (np.asarray(restrict(logits, one, np.zeros(64, np.int64), one)) > -INFINITY).all()


def test_top_p_counts_what_top_k_has_left():
    # Of 0.4 and 0.3 alone, the first has 0.57.
    assert left(restrict(LOGITS, column(1.0), column(2, np.int64), column(0.5))) == [1]
    assert left(restrict(LOGITS, column(1.0), column(2, np.int64), column(0.6))) == [1, 3]


def test_rows_have_options_of_their_own():
    logits = LOGITS.repeat(3, axis=0)
    cut = restrict(logits, np.array([1, 0, 1], np.float32), np.array([2, 0, 0]), np.array([1, 1, 0.8], np.float32))
    assert [np.flatnonzero(row > -INFINITY).tolist() for row in np.asarray(cut)] == [[1, 3], [1], [1, 2, 3]]
