"""`make bench`: prints a line of JSON for each figure."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.pairs import Figure, compare
from benchmarks.processes import echo_server, genservice_server
from benchmarks.unary import requests_a_second
from genservice_client import Client


def sample_efficiency_inline(address: str) -> Figure:
    """Samples a second through a socket and the SDK, over the same model called in process at its best batch size."""
    model, rows = "fashion-gan", 8192
    in_process = _in_process(model)

    def streamed() -> float:
        with Client(address) as client:
            started = time.perf_counter()
            received = sum(len(chunk.to_numpy()) for chunk in client.sample(model, rows, seed=1))
            return received / (time.perf_counter() - started)

    return compare(
        "sample_efficiency_inline",
        streamed,
        lambda: in_process(rows),
        target=0.85,
        model=model,
        rows=rows,
        unit="samples/s",
    )


def unary_vs_floor_inline(address: str, floor: str) -> Figure:
    """Requests a second of one row, 32 in flight, over a bare grpc.aio server that has no model."""
    count = 4096
    return compare(
        "unary_vs_floor_inline",
        lambda: requests_a_second(address, in_flight=32, count=count),
        lambda: requests_a_second(floor, in_flight=32, count=count),
        target=0.5,
        model="fashion-logistic",
        rows=count,
        unit="requests/s",
    )


def _in_process(model: str) -> Callable[[int], float]:
    """Makes a function that measures a model's own samples a second, at the fastest of its batch sizes."""
    from genservice.engine.call import Call, Slice
    from genservice.engine.runtime import Runtime
    from genservice.plugin_host import PluginHost
    from genservice.store.store import ModelStore

    host = PluginHost.discover()
    store = ModelStore(host.stores)
    version = max(store.versions(model))
    manifest = store.manifest(model, version)
    runtime = Runtime(host.families[manifest.family].model(manifest.config), manifest.serving)
    runtime.load(Path(store.directory(model, version)))
    runtime.warm_up()

    def rate(rows: int, size: int) -> float:
        call = Call("sample", rows, runtime.model.Options(), seed=1)
        started = time.perf_counter()
        for start in range(0, rows, size):
            runtime.run([Slice(call, start, min(start + size, rows))])
        return rows / (time.perf_counter() - started)

    best = max(manifest.serving.sizes[3:], key=lambda size: rate(2048, size))
    return lambda rows: rate(rows, best)


def main() -> None:
    """Measures all figures."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with genservice_server() as address, echo_server() as floor:
        print(sample_efficiency_inline(address).line(), flush=True)
        print(unary_vs_floor_inline(address, floor).line(), flush=True)


if __name__ == "__main__":
    main()
