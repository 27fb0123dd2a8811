"""Models called in this process, with nothing of a server around them."""

import time
from collections.abc import Callable

from benchmarks.bench import Bench
from genservice.engine.call import Call, Slice
from genservice.engine.runtime import Runtime
from genservice.store.store import ModelStore

TRIAL_ROWS = 2048


def loaded(bench: Bench, model: str, **serving: object) -> Runtime:
    """The newest version of a model, loaded and warmed up.

    Args:
        bench: The run.
        model: Its name.
        serving: What to change of the version's `[serving]`.

    Raises:
        SkipFigure: It is not published.
    """
    store = ModelStore([bench.store_of(model)])
    version = max(store.versions(model))
    manifest = store.manifest(model, version)
    family = bench.host.families[manifest.family]
    runtime = Runtime(family.model(manifest.config), manifest.serving.model_copy(update=serving))
    runtime.load(store.directory(model, version))
    for _ in runtime.warm_up():
        pass
    return runtime


def sampler(runtime: Runtime) -> Callable[[int], float]:
    """Makes a function that draws so many rows at the model's fastest batch size, and gives samples a second."""

    def rate(rows: int, size: int) -> float:
        call = Call("sample", rows, runtime.model.Options(), seed=1)
        started = time.perf_counter()
        for start in range(0, rows, size):
            runtime.run([Slice(call, start, min(start + size, rows))])
        return rows / (time.perf_counter() - started)

    best = max(runtime.serving.sizes, key=lambda size: rate(min(TRIAL_ROWS, 64 * size), size))
    return lambda rows: rate(rows, best)
