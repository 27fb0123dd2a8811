"""What a row costs the queue when 100,000 rows wait, over what it costs when 100 do."""

import gc
from collections.abc import Callable, Iterator, Set
from itertools import count
from time import process_time

from benchmarks.bench import Bench, Benchmark
from benchmarks.pairs import Figure, figure, interleaved, median_ratio
from genservice.engine.call import Call
from genservice.engine.flow import Flow
from genservice.engine.queue import RowQueue
from genservice.engine.submission import Submission
from genservice.model.options import Options

CALLERS = 50
MANY, FEW = 100_000, 100
BATCH_ROWS = 64
ROWS = 12_800
"""Rows that come and go in one measurement."""
KEY = ("classify",)
OPTIONS = Options()


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures rows of one request a caller, and requests of one row; the figure is that which grew more."""
    del names  # There is only one.
    by_shape = []
    for rows_each in (MANY // CALLERS, 1):
        bench.say(f"queue_scaling: requests of {rows_each} rows")
        measured = interleaved({"many": _steady(MANY, rows_each), "few": _steady(FEW, min(rows_each, 2))}, bench.pairs)
        by_shape.append(list(zip(measured["many"], measured["few"], strict=True)))
    pairs = max(by_shape, key=median_ratio)
    yield figure("queue_scaling", pairs, model="", rows=ROWS, unit="us a row")


def _steady(waiting_rows: int, rows_each: int) -> Callable[[], float]:
    """Fills a queue. What it gives measures rows that come and are taken, while that many wait, in CPU time a row."""
    queue, numbers = RowQueue(), count()
    flows = [Flow(f"caller {number}") for number in range(CALLERS)]

    def fill() -> None:
        while queue.rows <= waiting_rows - rows_each:
            number = next(numbers)
            call = Call("classify", rows_each, OPTIONS)
            submission = Submission(
                call, window=rows_each, wanting=_ignore, closed=_ignore, flow=flows[number % CALLERS]
            )
            queue.add(submission, rows_each, KEY, float(number))

    def measured() -> float:
        # What waits is not garbage, and a server's collector has frozen or aged it.
        gc.collect()
        gc.disable()
        started = process_time()
        for _ in range(ROWS // BATCH_ROWS):
            queue.take(BATCH_ROWS)
            fill()
        elapsed = process_time() - started
        gc.enable()
        return elapsed / ROWS * 1e6

    fill()
    return measured


def _ignore(*_: object) -> None:
    pass


BENCHMARK = Benchmark(("queue_scaling",), measure)


BENCHMARK = Benchmark(("queue_scaling",), measure)
