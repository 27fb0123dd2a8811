"""Measures two things in turn, and gives the ratio: the machine's speed drifts, and drifts for both."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

PAIRS = 9


@dataclass
class Figure:
    """A ratio.

    Args:
        name: Name of the figure.
        value: Median of the pairs' ratios.
        target: What it should be at least.
        model: The model that was measured.
        rows: Rows of one measurement.
        pairs: What was measured, `[subject, reference]` each.
        unit: Unit of the measurements.
    """

    name: str
    value: float
    target: float
    model: str
    rows: int
    pairs: list[tuple[float, float]]
    unit: str

    def line(self) -> str:
        """The figure as a line of JSON."""
        return json.dumps(asdict(self))


def compare(
    name: str,
    subject: Callable[[], float],
    reference: Callable[[], float],
    *,
    target: float,
    model: str,
    rows: int,
    unit: str,
) -> Figure:
    """Measures A B A B ..., after one of each that does not count.

    Args:
        name: Name of the figure.
        subject: Measures what is of interest.
        reference: Measures what it is compared with.
        target: What the ratio should be at least.
        model: The model that is measured.
        rows: Rows of one measurement.
        unit: Unit of the measurements.
    """
    subject(), reference()
    pairs = [(subject(), reference()) for _ in range(PAIRS)]
    value = statistics.median(left / right for left, right in pairs)
    rounded = [(round(left, 1), round(right, 1)) for left, right in pairs]
    return Figure(name, round(value, 3), target, model, rows, rounded, unit)
