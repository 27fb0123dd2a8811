"""`memory_growth`: resident memory of server and worker after 200,000 requests, over after 20,000."""

from collections.abc import Iterator, Set

from benchmarks import h2load
from benchmarks.bench import Bench, Benchmark
from benchmarks.classify import MODEL, classify_call
from benchmarks.pairs import Figure, figure
from benchmarks.processes import genservice_server

STAGE_REQUESTS = 20_000
STAGES = 10
IN_FLIGHT = 32
MEGABYTE = 1e6


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Takes the memory after each 20,000 requests. Each is paired with the first; the last is the figure."""
    resident: list[float] = []
    with genservice_server([bench.store_of(MODEL)]) as server:
        call = classify_call(server.address)
        for stage in range(1, STAGES + 1):
            h2load.load(call, count=STAGE_REQUESTS, in_flight=IN_FLIGHT)
            server.child.wait_until_idle()
            resident.append(server.child.resident_bytes() / MEGABYTE)
            bench.say(f"memory_growth: {stage * STAGE_REQUESTS} requests, {resident[-1]:.1f} MB")
    yield figure(
        "memory_growth",
        [(later, resident[0]) for later in resident[1:]],
        value=resident[-1] / resident[0],
        model=MODEL,
        rows=STAGE_REQUESTS * STAGES,
        unit="MB",
    )


BENCHMARK = Benchmark(("memory_growth",), measure)
