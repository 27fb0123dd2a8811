"""A load on one model: requests of so many rows that come independently of each other, and what the server shows."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from genservice.cli.failures import Failure
from genservice.cli.replica import read_page
from genservice_client import AsyncClient, StatusError, TensorSpec, VersionInfo

Call = Callable[[int], Awaitable[object]]
"""Asks for so many rows."""

MAIN_VERBS = ("sample", "classify", "tag", "embed", "score", "encode")
"""The verb that a model is measured by: the first of these that it has."""
SCRAPE_S = 0.2
"""Seconds between two looks at what the server shows."""
REFUSALS = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED")


@dataclass(frozen=True, slots=True)
class Step:
    """What a load did to a replica.

    Args:
        offered_rows_per_second: Rows that came.
        rows_per_second: Rows that were answered, over the time until the last of them was.
        refused_rows: Rows that were refused.
        queue_p99_s: Longest wait of 99 of 100 batches, in seconds, as `histogram_quantile` finds it.
        rows_in_system: Rows queued and running, on average.
        late_s: How late a request was sent at the most: great where the client, not the server, was too slow.
    """

    offered_rows_per_second: float
    rows_per_second: float
    refused_rows: int
    queue_p99_s: float
    rows_in_system: float
    late_s: float


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a server shows of a version."""

    rows_in_system: float
    queue_buckets: Mapping[float, float]
    """By upper bound in seconds: batches that waited no longer."""


class Target:
    """A version on a server, to be loaded.

    Args:
        client: Connected to the server; never tries again.
        version: The version.
        metrics_url: Address of the server's metrics.
        options: Options of the model.

    Raises:
        Failure: The version has no verb that can be measured.
    """

    def __init__(
        self, client: AsyncClient, version: VersionInfo, metrics_url: str, options: Mapping[str, Any] | None = None
    ) -> None:
        verb = next((verb for verb in MAIN_VERBS if verb in version.verbs), None)
        if verb is None:
            raise Failure(f"{version.name} has none of the verbs {', '.join(MAIN_VERBS)}.")
        self.version = version
        self.verb = verb
        self._metrics_url = metrics_url
        self._call = _caller(client, version, verb, dict(options or {}))
        _, self._model, _, self._number = version.name.split("/")

    async def closed_loop(self, rows: int, in_flight: int, seconds: float) -> float:
        """Keeps so many requests under way, each with so many rows: a worker that is busy finds the next one waiting.

        Returns:
            Rows a second.
        """
        await self._call(rows)
        started = time.perf_counter()
        done = 0

        async def again() -> None:
            nonlocal done
            while time.perf_counter() - started < seconds:
                await self._call(rows)
                done += rows

        await asyncio.gather(*(again() for _ in range(in_flight)))
        return done / (time.perf_counter() - started)

    async def offer(self, rows_per_second: float, rows: int, seconds: float, seed: int) -> Step:
        """Lets requests come in a Poisson process, whether or not those before them are done.

        Args:
            rows_per_second: Rows that come in a second, on average.
            rows: Rows of a request.
            seconds: How long.
            seed: Of when they come.
        """
        before = await self._shown()
        waiting = asyncio.create_task(self._watch(seconds))
        started = time.perf_counter()
        randomness = random.Random(seed)  # noqa: S311 - arrivals, no secrets
        tasks, at_s, late_s = [], randomness.expovariate(rows_per_second / rows), 0.0
        while at_s < seconds:
            await asyncio.sleep(max(0.0, started + at_s - time.perf_counter()))
            late_s = max(late_s, time.perf_counter() - started - at_s)
            tasks.append(asyncio.create_task(self._answered(rows)))
            at_s += randomness.expovariate(rows_per_second / rows)
        answered = await asyncio.gather(*tasks)
        took_s = time.perf_counter() - started
        in_system = await waiting
        after = await self._shown()
        buckets = {bound: count - before.queue_buckets.get(bound, 0) for bound, count in after.queue_buckets.items()}
        return Step(
            len(answered) * rows / seconds,
            sum(answered) * rows / took_s,
            (len(answered) - sum(answered)) * rows,
            quantile(buckets, 0.99),
            sum(in_system) / len(in_system),
            late_s,
        )

    async def _answered(self, rows: int) -> bool:
        try:
            await self._call(rows)
        except StatusError as refusal:
            if refusal.code.name not in REFUSALS:
                raise
            return False
        return True

    async def _watch(self, seconds: float) -> Sequence[float]:
        """Rows in the system, look by look."""
        end = time.perf_counter() + seconds
        seen: list[float] = []
        while time.perf_counter() < end or not seen:
            await asyncio.sleep(min(SCRAPE_S, seconds / 4))
            seen.append((await self._shown()).rows_in_system)
        return seen

    async def _shown(self) -> _Shown:
        text = await asyncio.to_thread(read_page, self._metrics_url)
        in_system, buckets = 0.0, {}
        labels = {"model": self._model, "version": self._number}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not labels.items() <= sample.labels.items():
                    continue
                if sample.name in ("genservice_queued_rows", "genservice_running_rows"):
                    in_system += sample.value
                elif sample.name == "genservice_queue_seconds_bucket" and sample.labels["verb"] == self.verb:
                    buckets[float(sample.labels["le"])] = sample.value
        return _Shown(in_system, buckets)


def quantile(buckets: Mapping[float, float], part: float) -> float:
    """A quantile of a histogram, as Prometheus's `histogram_quantile` finds it.

    Args:
        buckets: By upper bound: how many were no greater; the last bound is infinite.
        part: From 0 to 1.

    Returns:
        The value; the greatest finite bound where it is above that, 0 where nothing was observed.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if not total:
        return 0.0
    due = part * total
    if buckets[bounds[0]] >= due:
        return bounds[0] * due / buckets[bounds[0]]
    low, high = next(pair for pair in pairwise(bounds) if buckets[pair[1]] >= due)
    if math.isinf(high):
        return low
    return low + (high - low) * (due - buckets[low]) / (buckets[high] - buckets[low])


def _caller(client: AsyncClient, version: VersionInfo, verb: str, options: Mapping[str, Any]) -> Call:
    name = version.name
    if verb == "sample":
        conditions = {key: _rows(spec, 1) for key, spec in version.conditions.items() if not spec.optional}
        return lambda rows: client.sample(name, rows, options=options, conditions=conditions).all()
    event = version.event
    assert event is not None, "only what predicts has none"
    if verb == "tag":
        words = ["word"] if event.dtype is None else _rows(event, 1)
        return lambda rows: client.tag(name, [words] * rows, options=options)
    function: Callable[..., Awaitable[object]] = getattr(client, verb)
    return lambda rows: function(name, _rows(event, rows), options=options)


def _rows(spec: TensorSpec, rows: int) -> Any:
    """Rows in the middle of their range."""
    if spec.dtype is None:
        return ["a"] * rows
    middle = 0.0 if spec.minimum is None or spec.maximum is None else (spec.minimum + spec.maximum) / 2
    return np.full((rows, *(max(extent, 1) for extent in spec.shape)), middle, spec.dtype)
