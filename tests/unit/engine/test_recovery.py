"""Workers that die, that are followed by others, and that give their memory back."""

import asyncio

import numpy as np
import pytest

from genservice.engine.catalog import State
from genservice.engine.engine import Engine
from genservice.engine.inline import InlineWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Chunk
from genservice.errors import ModelFailed, WorkerLost
from genservice.store.names import ModelName
from genservice.testing.puppets import PuppetClock, settle

TOY, IMAGE = ModelName("toy"), ModelName("image")


class FragileReplica:
    """A replica whose calls end in WorkerLost once its worker has died."""

    def __init__(self, inner, worker):
        self._inner, self._worker = inner, worker
        self.numerics, self.on_step = inner.numerics, None

    @property
    def answer_row_bytes(self):
        return self._inner.answer_row_bytes

    async def warm_up(self):
        await self._worker.alive(self._inner.warm_up())

    async def run(self, batch):
        return await self._worker.alive(self._inner.run(batch))

    async def unload(self):
        self._worker.scene.unloaded.append(self._worker)
        await self._inner.unload()


class FragileWorker(InlineWorker):
    """A worker in a thread that a test can let die."""

    def __init__(self, settings, scene):
        super().__init__(settings)
        self.scene = scene
        self.resident_bytes = scene.resident_bytes
        self.closed = False
        scene.workers.append(self)

    async def start(self):
        await super().start()
        if self.scene.deaths_at_start:
            self.scene.deaths_at_start -= 1
            raise WorkerLost("exit code 1")

    async def load(self, request):
        self.scene.loads.append(type(request.model).family)
        if self.scene.deaths_at_load:
            self.scene.deaths_at_load -= 1
            self.die()
        await self.alive(asyncio.sleep(0))
        return FragileReplica(await super().load(request), self)

    async def close(self):
        self.closed = True
        await super().close()

    def die(self, reason="killed by SIGKILL"):
        self.lost.set_result(reason)

    async def alive(self, work):
        """Does some work, unless the worker dies before it is done."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if self.lost.done():
            task.cancel()
            raise WorkerLost(self.lost.result())
        return await task


class Scene:
    """An engine over fragile workers, and what has become of them."""

    def __init__(self, store, families, *, seats=("CPU:0",), **settings):
        self.workers, self.loads, self.unloaded = [], [], []
        self.deaths_at_start = self.deaths_at_load = 0
        self.resident_bytes = 1000
        self.clock = PuppetClock()
        self.settings = EngineSettings(**settings)
        makers = {name: lambda: FragileWorker(self.settings, self) for name in seats}
        self.engine = Engine(store, families, makers, self.settings, clock=self.clock)

    async def __aenter__(self):
        self.engine.start()
        await self.engine.started()
        return self

    async def __aexit__(self, *_):
        await self.engine.stop()

    def state(self, name, number=1):
        return self.engine.catalog.find(name.model, number).state

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                await self.clock.advance(0.01)
                await asyncio.sleep(0.001)

    async def sample(self, count=8, name=TOY, **request):
        drawn = self.engine.sample(name, sample_count=count, seed=1, **request)
        return np.concatenate([event.results["samples"] async for event in drawn.events() if isinstance(event, Chunk)])


async def test_requests_wait_while_a_worker_is_followed_by_another(store, families):
    async with Scene(store, families) as scene:
        before = await scene.sample()
        scene.workers[0].die()
        await settle()
        assert scene.state(TOY) is scene.state(IMAGE) is State.RECOVERING
        waiting = asyncio.create_task(scene.sample())
        await scene.until(waiting.done)
        np.testing.assert_array_equal(waiting.result(), before)
        await scene.until(lambda: scene.state(IMAGE) is State.READY)
        assert len(scene.workers) == 2
        assert scene.workers[0].closed


async def test_models_with_waiting_rows_are_loaded_first(store, families):
    async with Scene(store, families) as scene:
        for name in (TOY, IMAGE):
            scene.loads.clear()
            scene.workers[-1].die()
            await settle()
            conditions = {"mean": np.zeros((1, 1), np.float32), "name": ["x"]} if name is IMAGE else {}
            waiting = asyncio.create_task(scene.sample(name=name, conditions=conditions))
            await scene.until(waiting.done)
            await scene.until(lambda: scene.state(TOY) is scene.state(IMAGE) is State.READY)
            assert scene.loads == ([name.model, *{"toy", "image"} - {name.model}])


async def test_rows_that_run_when_the_worker_dies_run_again(store, families):
    async with Scene(store, families) as scene:
        before = await scene.sample(1000)
        streams = [asyncio.create_task(scene.sample(1000)) for _ in range(5)]
        for _ in range(3):
            await settle()
            if scene.state(TOY) is State.READY:
                scene.workers[-1].die()
            await scene.until(lambda: scene.state(TOY) is State.READY)
        for stream in streams:
            await scene.until(stream.done)
            np.testing.assert_array_equal(stream.result(), before)


async def test_a_worker_that_keeps_dying_starts_again_after_longer_and_longer_pauses(store, families):
    async with Scene(store, families) as scene:
        starts = []
        for _ in range(4):
            began = scene.clock.now()
            count = len(scene.workers)
            scene.workers[-1].die()
            while len(scene.workers) == count:
                await scene.clock.advance(0.01)
            starts.append(scene.clock.now() - began)
            await scene.until(lambda: scene.state(TOY) is scene.state(IMAGE) is State.READY)
            await scene.clock.advance(5)
        np.testing.assert_allclose(starts, [0.1, 0.2, 0.4, 0.8], atol=0.05)


async def test_a_model_that_its_worker_dies_of_at_each_load_fails_and_the_others_do_not(store, families):
    scene = Scene(store, families)
    scene.deaths_at_load = 3
    task = asyncio.create_task(scene.__aenter__())
    await scene.until(task.done)
    states = {scene.state(TOY), scene.state(IMAGE)}
    assert states == {State.FAILED, State.READY}
    await scene.engine.stop()


async def test_a_model_that_cannot_be_loaded_again_fails_with_what_waits_for_it(store, families):
    async with Scene(store, families) as scene:
        scene.workers[0].die()
        await settle()
        waiting = asyncio.create_task(scene.sample())
        await settle()
        scene.deaths_at_load = 3
        await scene.until(waiting.done)
        with pytest.raises(ModelFailed):
            waiting.result()
        await scene.until(lambda: scene.state(IMAGE) is State.READY)
        assert scene.state(TOY) is State.FAILED


async def test_two_workers_serve_one_model_and_one_may_die(store, families):
    async with Scene(store, families, seats=("CPU:0", "CPU:0#2")) as scene:
        before = await scene.sample(200)
        scene.workers[0].die()
        await settle()
        assert scene.state(TOY) is State.READY
        np.testing.assert_array_equal(await scene.sample(200), before)


async def test_a_model_is_served_where_the_settings_place_it(store, families):
    async with Scene(store, families, seats=("CPU:0", "CPU:0#2"), placement={"toy": ("CPU:0#2",)}) as scene:
        assert sorted(scene.loads) == ["image", "image", "toy"]
        await scene.sample()


async def test_a_worker_that_has_nothing_left_to_serve_is_ended(store, families):
    async with Scene(store, families) as scene:
        for name in (TOY, IMAGE):
            scene.engine.unload(name)
        await scene.until(lambda: scene.workers[0].closed)
        await scene.engine.load(TOY)
        await scene.until(lambda: scene.state(TOY) is State.READY)
        assert len(scene.workers) == 2
        await scene.sample()


async def test_a_worker_that_has_grown_is_followed_by_another_and_no_row_is_lost(store, families, publish):
    publish(store, "toy", "toy")
    async with Scene(store, families, max_growth_bytes=500) as scene:
        whole = await scene.sample(2000, name=ModelName("toy", version=2))
        await scene.engine.load(ModelName("toy", version=1))
        await scene.until(lambda: scene.state(TOY) is State.READY)
        stream = asyncio.create_task(scene.sample(2000, name=ModelName("toy", version=2)))
        await settle()
        scene.workers[0].resident_bytes = 2000
        scene.engine.unload(ModelName("toy", version=1))
        await scene.until(lambda: scene.workers[0].closed)
        await scene.until(stream.done)
        np.testing.assert_array_equal(stream.result(), whole)
        assert len(scene.workers) == 2
        assert scene.state(TOY, 2) is scene.state(IMAGE) is State.READY
