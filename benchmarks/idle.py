"""`idle_latency`: the median of one Classify at a time through gRPC, over the model's own call in this process."""

import statistics
import time
from collections.abc import Iterator, Set

from benchmarks import h2load
from benchmarks.bench import Bench, Benchmark
from benchmarks.classify import MODEL, ROW, classify_call
from benchmarks.in_process import loaded
from benchmarks.pairs import Figure, figure, interleaved
from benchmarks.processes import genservice_server
from genservice.engine.call import Call, Slice
from genservice.engine.runtime import Runtime

CALLS = 1000
MICROSECOND = 1e-6


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures the figure; the server has a worker process, as it ships."""
    runtime = loaded(bench, MODEL)
    with genservice_server([bench.store_of(MODEL)]) as server:
        call = classify_call(server.address)
        measured = interleaved(
            {
                "served": lambda: h2load.median_latency_s(call, count=CALLS) / MICROSECOND,
                "in process": lambda: _own_call_s(runtime) / MICROSECOND,
            },
            bench.pairs,
        )
    pairs = list(zip(measured["served"], measured["in process"], strict=True))
    yield figure("idle_latency", pairs, model=MODEL, rows=CALLS, unit="us")


def _own_call_s(runtime: Runtime) -> float:
    """The median seconds of a call with one row."""
    piece = Slice(Call("classify", 1, runtime.model.Options(), {"inputs": ROW}), 0, 1)
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        runtime.run([piece])
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


BENCHMARK = Benchmark(("idle_latency",), measure)
