"""`stream_bytes`: MB/s of samples that cost nothing, over those of a bare grpc.aio stream.

The subject is ours from end to end: `genservice serve` with a worker process, read by the SDK. The floor is bare from
end to end: a grpc.aio server whose handler makes the same messages, read by a grpc.aio client that parses them and
looks at them as arrays. So the figure holds what the SDK costs as well. `stream_bytes_same_client` has no target: there
the SDK reads both, which leaves the servers alone.
"""

import asyncio
import time
from collections.abc import Iterator, Set
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import numpy as np
import uvloop

from benchmarks.bench import Bench, Benchmark
from benchmarks.pairs import Figure, figure, interleaved
from benchmarks.processes import floor_server, genservice_server
from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice.v1 import generation_pb2, generation_pb2_grpc, types_pb2
from genservice_client import Client

TOYS = Path(__file__).parent / "toys"
MODEL = "constant"
ROW_FLOATS = 16384
ROWS = 4096
"""256 MiB."""
BATCH_ROWS = 32
MEGABYTE = 1e6


def measure(bench: Bench, names: Set[str]) -> Iterator[Figure]:
    """Measures both in one run."""
    with TemporaryDirectory(prefix="bench-") as folder:
        _publish(Path(folder))
        with (
            genservice_server([Path(folder)], plugins=[TOYS]) as ours,
            floor_server() as floor,
            Client(ours.address) as client,
            Client(floor.address) as floor_client,
        ):
            chunk_rows = len(next(iter(client.sample(MODEL, ROWS, seed=1))))
            measures = {
                "ours": lambda: _sdk(client, MODEL, chunk_rows),
                "floor": lambda: _bare(floor.address, chunk_rows),
            }
            if "stream_bytes_same_client" in names:
                measures["floor, SDK"] = lambda: _sdk(floor_client, "floor", chunk_rows, row_floats=ROW_FLOATS)
            measured = interleaved(measures, bench.pairs)
    for name, other in (("stream_bytes", "floor"), ("stream_bytes_same_client", "floor, SDK")):
        if name in names:
            pairs = list(zip(measured["ours"], measured[other], strict=True))
            yield figure(name, pairs, model=MODEL, rows=ROWS, unit="MB/s")


def _publish(folder: Path) -> None:
    serving = Serving(max_batch_rows=BATCH_ROWS, batch_sizes=(1, BATCH_ROWS))
    manifest = Manifest(family="bench-constant", plugin="genservice-bench", plugin_version="1.0", serving=serving)
    ModelStore([folder]).publish(MODEL, lambda draft: manifest)


def _sdk(client: Client, model: str, chunk_rows: int, **options: int) -> float:
    """MB/s of a stream that the SDK reads."""
    started = time.perf_counter()
    chunks = client.sample(model, ROWS, seed=1, chunk_rows=chunk_rows, **options)
    return _rate(sum(chunk.to_numpy().nbytes for chunk in chunks), started)


def _bare(address: str, chunk_rows: int) -> float:
    """MB/s of a stream that a bare client reads."""

    async def read() -> int:
        request = generation_pb2.SampleRequest(model="models/floor", sample_count=ROWS, seed=1, chunk_rows=chunk_rows)
        request.options["row_floats"].CopyFrom(types_pb2.OptionValue(int64_value=ROW_FLOATS))
        received = 0
        async with grpc.aio.insecure_channel(address) as channel:
            async for response in generation_pb2_grpc.GenerationServiceStub(channel).Sample(request):
                if response.HasField("chunk"):
                    received += np.frombuffer(response.chunk.tensor.data, np.float32).nbytes
        return received

    started = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return _rate(runner.run(read()), started)


def _rate(received_bytes: int, started: float) -> float:
    if received_bytes != 4 * ROWS * ROW_FLOATS:
        raise RuntimeError(f"{received_bytes} bytes came")
    return received_bytes / MEGABYTE / (time.perf_counter() - started)


BENCHMARK = Benchmark(("stream_bytes", "stream_bytes_same_client"), measure)
