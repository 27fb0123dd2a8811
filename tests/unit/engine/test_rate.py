"""Rates with numbers that were worked by hand."""

from math import exp

import pytest

from genservice.engine.rate import EVIDENCE_S, FORGETTING_S, RowRate


def run(rate, rows, start, stop):
    rate.began(rows, start)
    rate.ended(rows, stop)


def test_nothing_is_said_while_nothing_has_run():
    rate = RowRate(10)
    assert rate.rows_per_second == 0.0
    rate.began(10, 5.0)
    assert rate.rows_per_second == 0.0


def test_a_full_batch_is_its_rows_by_its_time():
    rate = RowRate(10)
    run(rate, 10, 100.0, 102.0)
    assert rate.rows_per_second == pytest.approx(5.0)


def test_nothing_is_said_of_less_than_some_evidence():
    rate = RowRate(10)
    run(rate, 10, 0.0, EVIDENCE_S * 0.75)
    assert rate.rows_per_second == 0.0
    run(rate, 10, 1.0, 1.0 + EVIDENCE_S * 0.75)
    assert rate.rows_per_second == pytest.approx(10 / (EVIDENCE_S * 0.75), rel=0.05)


def test_idle_time_does_not_count():
    rate = RowRate(10)
    run(rate, 10, 0.0, 1.0)
    run(rate, 10, 1000.0, 1001.0)
    assert rate.rows_per_second == pytest.approx(10.0)


def test_what_is_past_is_forgotten_exponentially():
    rate = RowRate(10)
    run(rate, 10, 0.0, 1.0)
    run(rate, 10, 1.0, 3.0)
    kept = exp(-2 / FORGETTING_S)
    assert rate.rows_per_second == pytest.approx((10 * kept + 10) / (1 * kept + 2))
    for start in range(3, 103, 2):
        run(rate, 10, start, start + 2)
    assert rate.rows_per_second == pytest.approx(5.0, rel=0.01)


def test_batches_that_overlap_do_not_count_their_time_twice():
    rate = RowRate(10)
    rate.began(10, 0.0)
    rate.began(10, 0.5)  # waits in the worker
    rate.ended(10, 1.0)
    rate.ended(10, 2.0)
    half, whole = exp(-0.5 / FORGETTING_S), exp(-1 / FORGETTING_S)
    assert rate.rows_per_second == pytest.approx((10 * whole + 10) / ((0.5 * half + 0.5) * whole + 1))


def test_a_batch_that_is_not_full_gives_an_upper_bound():
    rate = RowRate(100)
    run(rate, 1, 0.0, 1.0)
    assert rate.rows_per_second == pytest.approx(100.0)
    run(rate, 100, 1.0, 11.0)
    # Full batches, which take their time, outweigh it: (e^-1 + 100) / (e^-1 / 100 + 10)
    assert rate.rows_per_second == pytest.approx((exp(-1) + 100) / (exp(-1) / 100 + 10))
    assert rate.rows_per_second == pytest.approx(10.0, rel=0.01)


def test_rows_that_finish_one_by_one_count_as_they_finish():
    rate = RowRate(2)
    rate.began(4, 0.0)  # two of them wait for a slot
    rate.ended(1, 1.0)
    rate.ended(1, 1.0)
    assert rate.rows_per_second == pytest.approx(2.0)
    rate.ended(1, 2.0)
    kept = exp(-1 / FORGETTING_S)
    assert rate.rows_per_second == pytest.approx((2 * kept + 1) / (kept + 1))
    rate.ended(1, 3.0)  # alone in the slots, so its second counts as half of one
    assert rate.rows_per_second == pytest.approx(((2 * kept + 1) * kept + 1) / ((kept + 1) * kept + 0.5))


def test_rows_that_are_given_up_take_time_and_do_not_count():
    rate = RowRate(10)
    rate.began(10, 0.0)
    rate.dropped(5, 1.0)
    rate.ended(5, 1.0)
    assert rate.rows_per_second == pytest.approx(5.0)
    run(rate, 10, 50.0, 51.0)
    kept = exp(-1 / FORGETTING_S)
    assert rate.rows_per_second == pytest.approx((5 * kept + 10) / (kept + 1))


def test_a_clock_that_stands_still_says_nothing():
    rate = RowRate(10)
    run(rate, 10, 1.0, 1.0)
    assert rate.rows_per_second == 0.0
