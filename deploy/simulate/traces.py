"""Loads over time, in units of what one replica can do: 2 is the load that keeps two replicas just busy."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

HOUR_S = 3600
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Trace:
    """A load.

    Args:
        name: What it is called.
        seconds: How long it lasts.
        load: The load at a second since its start.
    """

    name: str
    seconds: int
    load: Callable[[float], float]


def day_curve(at_s: float) -> float:
    """A day: 1 at 4 o'clock, 6 at 16 o'clock, with gusts of a fifth that come every 7 and every 23 minutes."""
    wave = 3.5 - 2.5 * math.cos(math.tau * (at_s / HOUR_S - 4) / 24)
    gusts = math.sin(math.tau * at_s / (7 * MINUTE_S)) + math.sin(math.tau * at_s / (23 * MINUTE_S))
    return wave * (1 + 0.1 * gusts)


def burst(at_s: float) -> float:
    """Bursts: 1, and 5 for three minutes of every twenty, as batch jobs make them."""
    return 5.0 if at_s % (20 * MINUTE_S) >= 17 * MINUTE_S else 1.0


def flash_crowd(at_s: float) -> float:
    """A flash crowd: 1, then within 30 s up to 7 for 20 minutes, then half as much every 10 minutes."""
    start, risen, ends = 10 * MINUTE_S, 10 * MINUTE_S + 30, 30 * MINUTE_S
    if at_s < start:
        return 1.0
    if at_s < risen:
        return 1 + 6 * (at_s - start) / (risen - start)
    return 7.0 if at_s < ends else 1 + 6 * 0.5 ** ((at_s - ends) / (10 * MINUTE_S))


TRACES: Mapping[str, Trace] = {
    trace.name: trace
    for trace in (
        Trace("day", 24 * HOUR_S, day_curve),
        Trace("burst", 2 * HOUR_S, burst),
        Trace("flash-crowd", 90 * MINUTE_S, flash_crowd),
    )
}


def through(name: str, points: Sequence[tuple[float, float]]) -> Trace:
    """A load that goes straight from point to point.

    Args:
        name: What it is called.
        points: Seconds and load, ascending; the last is where it ends.

    Raises:
        ValueError: There are fewer than two points, they do not ascend, or a load is negative.
    """
    if len(points) < 2 or any(after[0] <= before[0] for before, after in pairwise(points)):
        raise ValueError("A trace has two points or more, and their seconds ascend.")
    if any(load < 0 for _, load in points):
        raise ValueError("A load is not negative.")

    def load(at_s: float) -> float:
        for (before_s, before), (after_s, after) in pairwise(points):
            if at_s < after_s:
                return before + (after - before) * max(0.0, at_s - before_s) / (after_s - before_s)
        return points[-1][1]

    return Trace(name, math.ceil(points[-1][0]), load)


def read_trace(file: Path) -> Trace:
    """Reads a trace of one's own: CSV with the columns `seconds` and `load`.

    Args:
        file: The file.

    Raises:
        ValueError: It is not such a file; the message says why.
    """
    with file.open(newline="") as lines:
        try:
            points = [(float(row["seconds"]), float(row["load"])) for row in csv.DictReader(lines)]
        except (KeyError, TypeError, ValueError) as fault:
            raise ValueError(f"{file} is no CSV with numbers in the columns seconds and load.") from fault
    return through(file.stem, points)
