"""Requests as they come to a model that draws in steps: what each asks for, and when it comes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ROWS = (1, 4)
STEPS = (10, 40)
MEAN_ROWS = sum(ROWS) / 2


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Args:
        rows: Samples that it asks for.
        steps: Steps of each.
    """

    rows: int
    steps: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes.

    Args:
        at_s: When, in seconds since the first could come.
        request: What it asks for.
    """

    at_s: float
    request: Request


def requests(seed: int) -> Iterator[Request]:
    """Requests without end, the same for the same seed: rows and steps uniform between their bounds."""
    generator = np.random.default_rng(seed)
    while True:
        rows, steps = (int(generator.integers(low, high, endpoint=True)) for low, high in (ROWS, STEPS))
        yield Request(rows, steps)


def poisson_trace(seed: int, rows_per_second: float, count: int) -> list[Arrival]:
    """Requests that come independently of each other, the same for the same seed but for the scale of time.

    Args:
        seed: Of what they ask for, and of when they come.
        rows_per_second: Rows that come in a second, on average.
        count: How many requests.
    """
    gaps = np.random.default_rng([seed, 1]).exponential(MEAN_ROWS / rows_per_second, count)
    times = np.cumsum(gaps).tolist()
    return [Arrival(at_s, request) for at_s, request in zip(times, requests(seed), strict=False)]
