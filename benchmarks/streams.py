"""`sample_efficiency` and `process_worker_cost`: streams of `fashion-gan` through a socket and the SDK."""

import time
from collections.abc import Iterator, Set

from benchmarks.bench import Bench, Benchmark
from benchmarks.in_process import loaded, sampler
from benchmarks.pairs import Figure, figure, interleaved
from benchmarks.processes import genservice_server
from genservice_client import Client, SampleStream

MODEL = "fashion-gan"
STREAM_SAMPLES = 100_000
LEAD_SAMPLES = 2048
"""Samples of each window that do not count: more than lie ready at both ends while nobody reads."""
COST_SAMPLES = 6400


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures what is asked for."""
    if "process_worker_cost" in names:
        yield process_worker_cost(bench)
    if "sample_efficiency" in names:
        yield sample_efficiency(bench)


def sample_efficiency(bench: Bench) -> Figure:
    """One stream of 100,000 samples, whose rate is taken in windows.

    Between two windows the stream is not read, so that its server soon stands still, and the same model draws as many
    samples in this process. So both are measured at nearly the same time, and what the beginning of a stream costs
    does not count nine times.
    """
    store = bench.store_of(MODEL)
    in_process = sampler(loaded(bench, MODEL))
    # One window more than pairs: the first warms up and does not count.
    window_samples = STREAM_SAMPLES // (bench.pairs + 1)
    counted = window_samples - LEAD_SAMPLES
    with genservice_server([store]) as server, Client(server.address) as client:
        stream = client.sample(MODEL, STREAM_SAMPLES, seed=1)
        received = 0

        def streamed() -> float:
            nonlocal received
            received += _read(stream, LEAD_SAMPLES)
            started = time.perf_counter()
            samples = _read(stream, counted)
            rate = samples / (time.perf_counter() - started)
            received += samples
            server.child.wait_until_idle()
            return rate

        measured = interleaved({"stream": streamed, "in process": lambda: in_process(counted)}, bench.pairs)
        received += _read(stream, STREAM_SAMPLES)
        if received != STREAM_SAMPLES:
            raise RuntimeError(f"{received} samples came, and {STREAM_SAMPLES} were asked for")
    pairs = list(zip(measured["stream"], measured["in process"], strict=True))
    return figure("sample_efficiency", pairs, model=MODEL, rows=counted, unit="samples/s")


def process_worker_cost(bench: Bench) -> Figure:
    """Whole streams, of a server with a worker process and of one whose worker is a thread."""
    store = bench.store_of(MODEL)
    with (
        genservice_server([store]) as process,
        genservice_server([store], inline=True) as inline,
        Client(process.address) as one,
        Client(inline.address) as other,
    ):
        measured = interleaved({"process": lambda: _rate(one), "inline": lambda: _rate(other)}, bench.pairs)
    pairs = list(zip(measured["process"], measured["inline"], strict=True))
    return figure("process_worker_cost", pairs, model=MODEL, rows=COST_SAMPLES, unit="samples/s")


def _rate(client: Client) -> float:
    started = time.perf_counter()
    samples = _read(client.sample(MODEL, COST_SAMPLES, seed=1), COST_SAMPLES)
    return samples / (time.perf_counter() - started)


def _read(stream: SampleStream, least: int) -> int:
    """Reads chunks until so many samples have come, or the stream has ended; gives how many came."""
    samples = 0
    while samples < least and (chunk := stream.read()) is not None:
        samples += len(chunk.to_numpy())
    return samples


BENCHMARK = Benchmark(("process_worker_cost", "sample_efficiency"), measure)
