"""`idle_latency`: the median of one Classify at a time through gRPC, over the model's own call in this process.

That is a call as a worker makes it; for `idle_latency_tf_function`, as one would make it without genservice.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Any

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
    """Measures the figures; the server has a worker process, as it ships."""
    runtime = loaded(bench, MODEL)
    own = {"idle_latency": _worker_call(runtime), "idle_latency_tf_function": _tf_function_call(runtime)}
    with genservice_server([bench.store_of(MODEL)]) as server:
        call = classify_call(server.address)
        measured = interleaved(
            {
                "served": lambda: h2load.median_latency_s(call, count=CALLS) / MICROSECOND,
                **{name: partial(_median_us, own[name]) for name in names},
            },
            bench.pairs,
        )
    for name in sorted(names):
        pairs = list(zip(measured["served"], measured[name], strict=True))
        yield figure(name, pairs, model=MODEL, rows=CALLS, unit="us")


def _worker_call(runtime: Runtime) -> Callable[[], object]:
    """A call with one row, as a worker makes it."""
    batch = [Slice(Call("classify", 1, runtime.model.Options(), {"inputs": ROW}), 0, 1)]
    return lambda: runtime.run(batch)


def _tf_function_call(runtime: Runtime) -> Callable[[], object]:
    """The same by `tf.function`."""
    import tensorflow as tf

    model: Any = runtime.model
    options = model.Options()
    classify = tf.function(lambda inputs: tf.nn.softmax(model.logits(inputs, options)), autograph=False)
    return lambda: classify(tf.constant(ROW)).numpy()


def _median_us(call: Callable[[], object]) -> float:
    """The median microseconds of a call."""
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) / MICROSECOND


BENCHMARK = Benchmark(("idle_latency", "idle_latency_tf_function"), measure)
