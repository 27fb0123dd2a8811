import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from genservice.engine.call import Call, Slice
from genservice.engine.inline import InlineWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest
from genservice.model.base import Classifier
from genservice.model.specs import TensorSpec
from genservice.store.manifest import Serving

ALWAYS_QUICK_S = 60.0


class Sum(Classifier):
    """Two labels, by the sum of four numbers."""

    family = "sum"
    event = TensorSpec((4,))
    labels = ("small", "great")

    def load(self, directory):
        pass

    def logits(self, inputs, options):
        import tensorflow as tf

        total = tf.reduce_sum(inputs, axis=1)
        return tf.stack([-total, total], axis=1)


class PlainSum(Sum):
    """The same as it is."""

    traced = False

    def logits(self, inputs, options):
        total = inputs.sum(axis=1)
        return np.stack([-total, total], axis=1)


@pytest.fixture
async def replica():
    """Makes a replica of a model in a worker with a limit of its own for what is quick, and its worker."""
    workers = []

    async def replica(kind, quick_s):
        worker = InlineWorker(EngineSettings(), quick_s)
        workers.append(worker)
        await worker.start()
        made = await worker.load(LoadRequest(kind({}), Path("v1"), Serving(max_batch_rows=4)))
        await made.warm_up()
        return made, worker

    yield replica
    for worker in workers:
        await worker.close()


def batch(model, rows=1):
    inputs = {"inputs": np.full((rows, 4), 0.5, np.float32)}
    return [Slice(Call("classify", rows, model.Options(), inputs), 0, rows)]


async def done_within_a_turn(replica, given):
    """Whether a batch is run by the event loop itself, and its results."""
    task = asyncio.create_task(replica.run(given))
    await asyncio.sleep(0)
    return task.done(), await task


async def test_a_batch_that_was_quick_is_run_by_the_event_loop_from_then_on(replica):
    sums, _ = await replica(Sum, ALWAYS_QUICK_S)
    here, (first,) = await done_within_a_turn(sums, batch(Sum))
    assert not here  # nothing is known of it yet
    here, (second,) = await done_within_a_turn(sums, batch(Sum))
    assert here
    np.testing.assert_array_equal(first["probabilities"], second["probabilities"])
    here, _ = await done_within_a_turn(sums, batch(Sum, 4))
    assert not here  # of this size nothing is known


@pytest.mark.parametrize(("kind", "quick_s"), [(Sum, 0.0), (Sum, 1e-9), (PlainSum, ALWAYS_QUICK_S)])
async def test_what_is_slow_or_no_graph_never_is(replica, kind, quick_s):
    sums, _ = await replica(kind, quick_s)
    for _ in range(3):
        here, _ = await done_within_a_turn(sums, batch(kind))
        assert not here


async def test_nothing_runs_beside_a_call_of_another_model(replica):
    sums, worker = await replica(Sum, ALWAYS_QUICK_S)
    await sums.run(batch(Sum))
    over = threading.Event()
    other = asyncio.create_task(worker.thread.call("step", over.wait))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(sums.run(batch(Sum)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    over.set()
    await other
    await waiting
    here, _ = await done_within_a_turn(sums, batch(Sum))
    assert here


async def test_what_a_quick_call_raises_is_raised_as_elsewhere(replica):
    sums, worker = await replica(Sum, ALWAYS_QUICK_S)
    await sums.run(batch(Sum))

    def leave():
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match=r"raised SystemExit\(3\)"):
        worker.thread.call_here("run", leave)
    wrong = [Slice(Call("classify", 1, Sum.Options(), {"inputs": np.zeros((1, 4))}), 0, 1)]
    with pytest.raises(Exception, match="to be float"):
        await sums.run(wrong)
    here, _ = await done_within_a_turn(sums, batch(Sum))
    assert here
