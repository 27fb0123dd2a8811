"""What a worker process costs: batches of one-row calls, through a process and inline, in turns.

python -m benchmarks.workers
"""

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import uvloop

from genservice.engine.call import Call, Slice
from genservice.engine.inline import InlineWorker
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest, Replica
from genservice.store.manifest import Serving

TOYS = Path(__file__).parents[1] / "tests" / "unit" / "engine" / "process" / "toys"
BATCHES = {1: 2000, 10: 1000, 32: 500}
ROUNDS = 5
IN_FLIGHT = 2
ROW = np.random.default_rng(0).uniform(-1, 1, (1, 28, 28, 1)).astype(np.float32)


async def measure(replica: Replica, options: type, slices: int, batches: int) -> float:
    """Runs batches, a few at a time, and gives the seconds."""

    async def runner() -> None:
        for _ in range(batches // IN_FLIGHT):
            calls = [Call("classify", 1, options(), {"inputs": ROW}) for _ in range(slices)]
            await replica.run([Slice(call, 0, 1) for call in calls])

    started = time.perf_counter()
    await asyncio.gather(*(runner() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


async def compare() -> None:
    """Prints a line for each number of slices and each worker."""
    sys.path.insert(0, str(TOYS))
    toys = __import__("process_toys")
    settings = EngineSettings()
    inline, process = InlineWorker(settings), ProcessWorker(settings)
    replicas: dict[str, Replica] = {}
    for name, worker in (("inline", inline), ("process", process)):
        await worker.start()
        model = toys.Rows({})
        replicas[name] = await worker.load(LoadRequest(model, Path(), Serving(max_batch_rows=32)))
        await replicas[name].warm_up()
    child = psutil.Process(process.pid)
    print("slices  worker   wall us/slice  CPU us/slice: server  worker  together  (medians)")
    for slices, batches in BATCHES.items():
        figures: dict[str, list[tuple[float, float, float]]] = {"inline": [], "process": []}
        for _ in range(ROUNDS):
            for name, replica in replicas.items():
                before = sum(child.cpu_times()[:2])
                own = time.process_time()
                wall = await measure(replica, toys.Rows.Options, slices, batches)
                own = time.process_time() - own
                childs = sum(child.cpu_times()[:2]) - before
                each = 1e6 / (slices * batches)
                figures[name].append((wall * each, own * each, childs * each))
        for name, rounds in figures.items():
            wall, own, childs = np.median(rounds, axis=0)
            print(f"{slices:6}  {name:8}{wall:14.1f}{own:22.1f}{childs:8.1f}{own + childs:10.1f}")
    await process.close()
    await inline.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare())
