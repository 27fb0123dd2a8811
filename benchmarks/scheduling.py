"""`continuous_batching_*`: rows that join and leave at any step, over an engine that waits for whole batches.

It is the schedulers that are compared, so the engines run in this process, each with a thread of its own, and one is
measured while the others have nothing to do. All serve the same version; what differs is the setting `joining`.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.arrivals import MEAN_ROWS, Arrival, Request, poisson_trace, requests
from benchmarks.bench import Bench, Benchmark
from benchmarks.pairs import Figure, Pair, figure
from genservice.engine.engine import Engine
from genservice.engine.inline import InlineWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.slots import Joining
from genservice.store.names import ModelName
from genservice.store.store import ModelStore

MODEL = "fashion-diffusion"
LOAD = 0.85
"""Of the whole-batch scheduler's capacity."""
TRACE_S = 20.0
"""About how long the requests of one trace take to come."""
LEAD_BATCHES = 1
"""Slots full of rows that are done before a closed loop counts."""
COUNTED_BATCHES = 2
"""Slots full of rows that it counts: for the whole-batch schedulers, so many batches."""

LATENCY = "continuous_batching_latency"
THROUGHPUT = "continuous_batching_throughput"
SHRINKING = "continuous_batching_throughput_shrinking"


@dataclass
class Subject:
    """An engine that serves the model.

    Args:
        engine: The engine.
        slots: Rows that it draws at a time.
    """

    engine: Engine
    slots: int
    _seeds: count = field(default_factory=count)

    async def draw(self, request: Request, told: Callable[[int], None] = lambda rows: None) -> None:
        """Draws what a request asks for.

        Args:
            request: What it asks for.
            told: Is told how many samples have come, as they come.
        """
        draw = self.engine.sample(
            ModelName(MODEL),
            sample_count=request.rows,
            seed=next(self._seeds),
            options={"steps": request.steps},
            as_ready=True,
        )
        async for event in draw.events():
            told(len(event.results["samples"]))

    async def closed_loop(self, seed: int) -> float:
        """Keeps twice as many requests as slots under way, and gives rows a second.

        Time starts when as many rows are done as there are slots: a whole-batch scheduler is between two batches then,
        and when it stops, too.
        """
        todo = requests(seed)
        marks = (LEAD_BATCHES * self.slots, (LEAD_BATCHES + COUNTED_BATCHES) * self.slots)
        done_rows, times = 0, []
        finished = asyncio.Event()

        def told(rows: int) -> None:
            nonlocal done_rows
            done_rows += rows
            while len(times) < len(marks) and done_rows >= marks[len(times)]:
                times.append((time.perf_counter(), done_rows))
            if len(times) == len(marks):
                finished.set()

        async def client() -> None:
            while True:
                await self.draw(next(todo), told)

        clients = [asyncio.create_task(client()) for _ in range(2 * self.slots)]
        await finished.wait()
        await _cancelled(clients)
        (start_s, start_rows), (end_s, end_rows) = times
        return (end_rows - start_rows) / (end_s - start_s)

    async def open_loop(self, trace: Sequence[Arrival]) -> float:
        """Lets requests come as in a trace, and gives the mean seconds from coming to being answered whole."""
        started = time.perf_counter()

        async def client(arrival: Arrival) -> float:
            await asyncio.sleep(started + arrival.at_s - time.perf_counter())
            await self.draw(arrival.request)
            return time.perf_counter() - started - arrival.at_s

        return statistics.fmean(await asyncio.gather(*map(client, trace)))


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures all three in one run, where they are asked for."""
    yield from asyncio.run(_measure(bench, names))


async def _measure(bench: Bench, names: Set[str]) -> list[Figure]:
    joinings = [Joining.ANY_STEP, Joining.WHOLE_BATCH, *([Joining.SHRINKING_BATCH] if SHRINKING in names else [])]
    throughput: dict[Joining, list[float]] = {joining: [] for joining in joinings}
    latency: list[Pair] = []
    arrivals = 0
    async with AsyncExitStack() as stack:
        subjects = {joining: await stack.enter_async_context(_subject(bench, joining)) for joining in joinings}
        for subject in subjects.values():
            await subject.draw(Request(1, 2))
        for pair in range(bench.pairs):
            rates = {joining: await subject.closed_loop(pair) for joining, subject in subjects.items()}
            for joining, rate in rates.items():
                throughput[joining].append(rate)
            bench.say(f"continuous_batching: pair {pair + 1}: rows/s {_told(rates)}")
            if LATENCY in names:
                # The capacity of just now, as the machine's speed drifts.
                offered = LOAD * rates[Joining.WHOLE_BATCH]
                trace = poisson_trace(pair, offered, round(TRACE_S * offered / MEAN_ROWS))
                arrivals += len(trace)
                times = {joining: await subjects[joining].open_loop(trace) for joining in joinings[:2]}
                latency.append((times[Joining.ANY_STEP], times[Joining.WHOLE_BATCH]))
                bench.say(f"continuous_batching: pair {pair + 1}: {len(trace)} requests, seconds {_told(times)}")
        slots = subjects[Joining.ANY_STEP].slots
    figures = []
    if LATENCY in names:
        figures.append(figure(LATENCY, latency, model=MODEL, rows=round(arrivals * MEAN_ROWS / bench.pairs), unit="s"))
    for name, other in ((THROUGHPUT, Joining.WHOLE_BATCH), (SHRINKING, Joining.SHRINKING_BATCH)):
        if name in names:
            pairs = list(zip(throughput[Joining.ANY_STEP], throughput[other], strict=True))
            figures.append(figure(name, pairs, model=MODEL, rows=COUNTED_BATCHES * slots, unit="rows/s"))
    return figures


@asynccontextmanager
async def _subject(bench: Bench, joining: Joining) -> Any:
    """An engine with the one model, ready."""
    settings = EngineSettings(models={MODEL: {"joining": str(joining)}})
    store = ModelStore([bench.store_of(MODEL)])
    engine = Engine(store, bench.host.families, {"inline": lambda: InlineWorker(settings)}, settings)
    engine.start()
    try:
        await engine.started()
        version = engine.catalog.ready(ModelName(MODEL))
        yield Subject(engine, version.serving.max_batch_rows)
    finally:
        await engine.stop()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, asyncio.CancelledError):
            raise RuntimeError("a client ended") from result


def _told(values: Mapping[Joining, float]) -> str:
    return ", ".join(f"{joining} {value:.2f}" for joining, value in values.items())


BENCHMARK = Benchmark((LATENCY, THROUGHPUT, SHRINKING), measure)
