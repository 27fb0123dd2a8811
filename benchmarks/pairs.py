"""Measures things in turn, and gives the ratios: the machine's speed drifts, and drifts for all of them."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from benchmarks.contract import GOALS

PAIRS = 9
"""The fewest pairs of a figure that is reported."""

Pair = tuple[float, float]
"""What was measured of the subject, and of what it is compared with."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A ratio.

    Args:
        name: Name of the figure.
        value: The ratio, of the subject over what it is compared with.
        target: What it should be; None where nothing was promised.
        better: `greater` or `smaller`: which way it should go from there.
        met: Whether it is as promised.
        model: The model that was measured.
        rows: Rows, or requests, of one measurement.
        unit: Unit of the pairs.
        pairs: What was measured.
        cpu_us_a_request: For unary figures: processor time a request of the subject's processes, and of the other's;
            medians.
    """

    name: str
    value: float
    target: float | None
    better: str
    met: bool | None
    model: str
    rows: int
    unit: str
    pairs: Sequence[Pair]
    cpu_us_a_request: Pair | None = None

    def line(self) -> str:
        """The figure as a line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name[:3] != "cpu" or value})


def figure(
    name: str,
    pairs: Sequence[Pair],
    *,
    model: str,
    rows: int,
    unit: str,
    value: float | None = None,
    cpu_us_a_request: Pair | None = None,
) -> Figure:
    """Makes a figure of its pairs.

    Args:
        name: One of `GOALS`.
        pairs: What was measured, subject first.
        model: The model that was measured.
        rows: Rows of one measurement.
        unit: Unit of the pairs.
        value: The ratio; None: the median of the pairs' ratios.
        cpu_us_a_request: See `Figure`.
    """
    goal = GOALS[name]
    value = median_ratio(pairs) if value is None else value
    return Figure(
        name=name,
        value=_short(value),
        target=goal.target,
        better=goal.better,
        met=goal.met(value),
        model=model,
        rows=rows,
        unit=unit,
        pairs=[(_short(left), _short(right)) for left, right in pairs],
        cpu_us_a_request=cpu_us_a_request,
    )


def median_ratio(pairs: Sequence[Pair]) -> float:
    """The median of the pairs' ratios."""
    return statistics.median(left / right for left, right in pairs)


def interleaved(measures: Mapping[str, Callable[[], T]], pairs: int) -> dict[str, list[T]]:
    """Measures A B A B ..., after one of each that does not count.

    Args:
        measures: What to measure, in this order, by a name.
        pairs: How often.

    Returns:
        What was measured, by name.
    """
    for measure in measures.values():
        measure()
    measured: dict[str, list[T]] = {name: [] for name in measures}
    for _ in range(pairs):
        for name, measure in measures.items():
            measured[name].append(measure())
    return measured


def _short(value: float) -> float:
    """Four digits and no less than all before the point."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
