"""`autoregressive_cache`: one step with the cache at the last position, over a forward pass of all positions.

Both are compiled by XLA, at the batch size that `shakespeare` is served with. The step is the one that is served,
sampling and all. The other gives the logits of the last position alone, which is what a sampler without a cache would
need, so XLA leaves out the head of all others.
"""

import time
from collections.abc import Callable, Iterator, Set

import numpy as np

from benchmarks.bench import Bench, Benchmark
from benchmarks.in_process import loaded
from benchmarks.pairs import Figure, figure, interleaved
from genservice.engine.runtime import Runtime

MODEL = "shakespeare"
STEPS = 50
FORWARDS = 5
MILLISECOND = 1e-3


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures the figure."""
    runtime = loaded(bench, MODEL, jit_compile=True)
    rows = runtime.serving.max_batch_rows
    measured = interleaved({"step": _step(runtime, rows), "forward": _forward(runtime, rows)}, bench.pairs)
    pairs = list(zip(measured["step"], measured["forward"], strict=True))
    yield figure("autoregressive_cache", pairs, model=MODEL, rows=rows, unit="ms")


def _step(runtime: Runtime, rows: int) -> Callable[[], float]:
    functions = runtime.slots.functions
    zeros = np.zeros((rows, 2), np.uint32)
    last = runtime.model.config["context"] - 1

    def measured() -> float:
        # Rows at the last position stay there.
        functions._state["position"].assign(np.full(rows, last, np.int32))
        started = time.perf_counter()
        for step in range(STEPS):
            functions.step(rows, zeros, zeros, np.full(rows, step, np.uint32))
        return (time.perf_counter() - started) / STEPS / MILLISECOND

    return measured


def _forward(runtime: Runtime, rows: int) -> Callable[[], float]:
    import tensorflow as tf

    decoder = runtime.model._decoder
    forward = tf.function(lambda tokens: decoder(tokens)[:, -1], jit_compile=True, autograph=False)
    tokens = np.random.default_rng(0).integers(0, decoder.begin, (rows, decoder.context), np.int32)

    def measured() -> float:
        started = time.perf_counter()
        for _ in range(FORWARDS):
            forward(tf.constant(tokens)).numpy()
        return (time.perf_counter() - started) / FORWARDS / MILLISECOND

    return measured


BENCHMARK = Benchmark(("autoregressive_cache",), measure)
