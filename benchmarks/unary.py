"""`unary_*`: Classify of one row, ours against the floor of Python's gRPC and against other servers."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from safetensors.numpy import load_file

from benchmarks import h2load
from benchmarks.bench import Bench, Benchmark, SkipFigure
from benchmarks.classify import MODEL, ROW, classify_call, probabilities
from benchmarks.h2load import Call
from benchmarks.pairs import Figure, Pair, figure, interleaved
from benchmarks.peers.environments import MLSERVER, TRITON
from benchmarks.peers.serving import peer_server
from benchmarks.processes import Server, floor_server, genservice_server
from genservice.store.store import ModelStore

IN_FLIGHT = 32
MEASUREMENT_S = 2.0
TRIAL_CALLS = 2000
LATENCY_CALLS = 400

THROUGHPUT = {
    "unary_vs_floor_inline": ("inline", "floor"),
    "unary_vs_floor_process": ("process", "floor"),
    "unary_vs_triton_inline": ("inline", "triton"),
    "unary_vs_triton_process": ("process", "triton"),
    "unary_vs_mlserver_process": ("process", "mlserver"),
}
"""Name of the figure: the subject, and what it is compared with."""
LATENCY = {"unary_latency_vs_triton_process": ("process", "triton")}

Subject = tuple[Server, Call]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one subject.

    Args:
        value: Calls a second, or seconds a call.
        cpu_us: Processor time of the server's processes for one call.
    """

    value: float
    cpu_us: float


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures all subjects in turn, for all figures at once."""
    asked = {name: pair for name, pair in (THROUGHPUT | LATENCY).items() if name in names}
    wanted = {subject for pair in asked.values() for subject in pair}
    with ExitStack() as stack:
        subjects = _subjects(bench, wanted, stack)
        for table, measures, unit in (
            (THROUGHPUT, _rates, "requests/s"),
            (LATENCY, _latencies, "seconds"),
        ):
            mine = {name: pair for name, pair in asked.items() if name in table and subjects.keys() >= set(pair)}
            if not mine:
                continue
            used = {
                subject: subjects[subject] for subject in subjects if any(subject in pair for pair in mine.values())
            }
            functions, rows = measures(used)
            measured = interleaved(functions, bench.pairs)
            for name, (one, other) in mine.items():
                yield _figure(name, measured[one], measured[other], rows, unit)


def _subjects(bench: Bench, wanted: Set[str], stack: ExitStack) -> dict[str, Subject]:
    """Starts servers; those that cannot be had are skipped, with a word."""
    store = bench.store_of(MODEL)

    def ours(*, inline: bool) -> Subject:
        server = stack.enter_context(genservice_server([store], inline=inline))
        return server, classify_call(server.address)

    def floor() -> Subject:
        server = stack.enter_context(floor_server())
        return server, classify_call(server.address)

    own = {"process": partial(ours, inline=False), "inline": partial(ours, inline=True), "floor": floor}
    subjects = {name: start() for name, start in own.items() if name in wanted}
    weights = load_file(store / MODEL / str(max(ModelStore([store]).versions(MODEL))) / "weights.safetensors")
    for peer in (TRITON, MLSERVER):
        if peer.name not in wanted:
            continue
        mine = subjects["process" if "process" in subjects else "inline"][0]
        try:
            subjects[peer.name] = stack.enter_context(
                peer_server(
                    peer, weights["logits/kernel"], weights["logits/bias"], ROW.ravel(), probabilities(mine.address)
                )
            )
        except (SkipFigure, RuntimeError) as reason:
            bench.say(f"skipped all figures against {peer.name}: {reason}")
    return subjects


def _rates(subjects: Mapping[str, Subject]) -> tuple[dict[str, Callable[[], Measurement]], int]:
    """Functions that measure calls a second; each measurement takes about as long, whoever is measured."""

    def measure(server: Server, call: Call, count: int) -> Measurement:
        before = server.child.cpu_s()
        report = h2load.load(call, count=count, in_flight=IN_FLIGHT)
        return Measurement(count / report.seconds, (server.child.cpu_s() - before) / count * 1e6)

    functions: dict[str, Callable[[], Measurement]] = {}
    counts = {}
    for name, (server, call) in subjects.items():
        h2load.load(call, count=TRIAL_CALLS, in_flight=IN_FLIGHT)
        trial = measure(server, call, TRIAL_CALLS)
        counts[name] = max(TRIAL_CALLS, round(trial.value * MEASUREMENT_S))
        functions[name] = partial(measure, server, call, counts[name])
    return functions, next(iter(counts.values()))


def _latencies(subjects: Mapping[str, Subject]) -> tuple[dict[str, Callable[[], Measurement]], int]:
    """Functions that measure the median seconds of a call."""

    def measure(server: Server, call: Call) -> Measurement:
        before = server.child.cpu_s()
        median = h2load.median_latency_s(call, count=LATENCY_CALLS)
        return Measurement(median, (server.child.cpu_s() - before) / LATENCY_CALLS * 1e6)

    return {name: partial(measure, *subject) for name, subject in subjects.items()}, LATENCY_CALLS


def _figure(name: str, subject: list[Measurement], other: list[Measurement], rows: int, unit: str) -> Figure:
    pairs: list[Pair] = [(one.value, another.value) for one, another in zip(subject, other, strict=True)]
    one, another = (round(statistics.median(each.cpu_us for each in side), 1) for side in (subject, other))
    return figure(name, pairs, model=MODEL, rows=rows, unit=unit, cpu_us_a_request=(one, another))


BENCHMARK = Benchmark((*THROUGHPUT, *LATENCY), measure)
