"""Traces of requests: the same for all who are compared, and Poisson."""

from itertools import islice

import numpy as np
import pytest

from benchmarks.arrivals import MEAN_ROWS, ROWS, STEPS, poisson_trace, requests


def test_a_seed_gives_the_same_requests_again():
    assert list(islice(requests(3), 20)) == list(islice(requests(3), 20))
    assert list(islice(requests(3), 20)) != list(islice(requests(4), 20))


def test_rows_and_steps_take_all_values_between_their_bounds():
    drawn = list(islice(requests(0), 3000))
    assert {request.rows for request in drawn} == set(range(ROWS[0], ROWS[1] + 1))
    assert {request.steps for request in drawn} == set(range(STEPS[0], STEPS[1] + 1))


def test_rows_come_at_the_rate_that_is_asked_for():
    trace = poisson_trace(0, 10.0, 20_000)
    assert sum(arrival.request.rows for arrival in trace) / trace[-1].at_s == pytest.approx(10.0, rel=0.03)


def test_gaps_vary_as_those_of_independent_arrivals_do():
    times = np.array([arrival.at_s for arrival in poisson_trace(1, 10.0, 20_000)])
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(MEAN_ROWS / 10, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_another_rate_stretches_time_and_changes_nothing_else():
    slow, fast = poisson_trace(5, 1.0, 50), poisson_trace(5, 4.0, 50)
    assert [arrival.request for arrival in slow] == [arrival.request for arrival in fast]
    np.testing.assert_allclose([arrival.at_s for arrival in slow], [4 * arrival.at_s for arrival in fast])
