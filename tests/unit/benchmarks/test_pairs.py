"""Figures are made of pairs that were measured in turn."""

import json

import pytest

from benchmarks.contract import GOALS, Better, Goal
from benchmarks.pairs import figure, interleaved, median_ratio


def test_measurements_are_interleaved_after_one_of_each_that_does_not_count():
    order = []

    def measure(name):
        return lambda: order.append(name) or len(order)

    measured = interleaved({"a": measure("a"), "b": measure("b")}, 3)
    assert "".join(order) == "abababab"
    assert measured == {"a": [3, 5, 7], "b": [4, 6, 8]}


def test_a_figure_is_the_median_of_the_ratios_and_not_the_ratio_of_the_medians():
    assert median_ratio([(1, 2), (30, 10), (5, 5)]) == 1


def test_a_line_has_both_raw_numbers_of_each_pair_and_says_which_way_is_better():
    line = figure("idle_latency", [(600.0, 300.0), (250.0, 100.0), (4.0, 1.0)], model="m", rows=7, unit="us").line()
    assert json.loads(line) == {
        "name": "idle_latency",
        "value": 2.5,
        "target": 3.0,
        "better": "smaller",
        "met": True,
        "model": "m",
        "rows": 7,
        "unit": "us",
        "pairs": [[600.0, 300.0], [250.0, 100.0], [4.0, 1.0]],
    }


def test_a_unary_line_has_the_processor_time_of_both_sides():
    made = figure("unary_vs_floor_process", [(1, 2)], model="m", rows=1, unit="", cpu_us_a_request=(310.5, 120.0))
    assert json.loads(made.line())["cpu_us_a_request"] == [310.5, 120.0]


def test_a_figure_may_be_another_ratio_than_the_median():
    assert figure("memory_growth", [(2, 1), (4, 1)], model="m", rows=1, unit="MB", value=4.0).met is False


@pytest.mark.parametrize(
    ("better", "value", "met"),
    [
        (Better.GREATER, 0.9, True),
        (Better.GREATER, 0.7, False),
        (Better.SMALLER, 0.9, False),
        (Better.SMALLER, 0.7, True),
    ],
)
def test_a_goal_is_met_on_its_own_side_of_the_target(better, value, met):
    assert Goal("a", better, 0.8).met(value) is met


def test_where_nothing_was_promised_nothing_is_met_or_missed():
    assert GOALS["stream_bytes_same_client"].met(0.1) is None
