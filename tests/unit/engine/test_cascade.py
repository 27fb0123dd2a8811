"""Cascades over a real engine: which draws are kept, and what becomes of one when versions and servers go."""

import asyncio
import threading
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genservice import Classifier, Generator, TensorSpec
from genservice.engine.call import Output
from genservice.engine.cascade import Rule, cascade
from genservice.engine.catalog import State
from genservice.engine.engine import Engine
from genservice.engine.flow import Flow
from genservice.engine.inline import inline_workers
from genservice.engine.observer import SilentObserver
from genservice.engine.settings import EngineSettings
from genservice.errors import DrawsExhausted, ModelError, ModelNotReady, ServerDraining
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest, Serving
from genservice.store.names import ModelName
from genservice.store.store import ModelStore

DICE, JUDGE, WILD = ModelName("dice"), ModelName("judge"), ModelName("wild")
SEED = 11


class Dice(Generator):
    """Three numbers; a config can make every sample after the first batches one that it may not draw."""

    family = "dice"
    traced = False
    event = TensorSpec((3,), minimum=-100, maximum=100)
    wild = False

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        samples = noise.normal("z", (3,)).astype(np.float32)
        return samples + 1000 if self.wild else samples


class Judge(Classifier):
    """Says which of three numbers is the greatest; waits at a gate."""

    family = "judge"
    traced = False
    event = TensorSpec((3,), minimum=-100, maximum=100)
    labels = ("first", "second", "third")
    gate = threading.Event()

    def load(self, directory):
        pass

    def logits(self, inputs, options):
        assert self.gate.wait(60)
        return inputs


class Ended(SilentObserver):
    def __init__(self):
        self.rows = {}

    def rows_ended(self, model, version, verb, outcome, rows):
        key = (model, verb, outcome)
        self.rows[key] = self.rows.get(key, 0) + rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cascade")


@pytest.fixture(scope="module")
def families():
    Judge.gate.set()
    return {model.family: Family(model.family, model, "toys", "1.0") for model in (Dice, Judge)}


def publish(store, name, **serving):
    def build(directory):
        return Manifest(
            family=name, plugin="toys", plugin_version="1.0", serving=Serving(**{"max_batch_rows": 16, **serving})
        )

    store.publish(name, build)


@asynccontextmanager
async def running(families, path, judge=None, **settings):
    store = ModelStore([path / "store"])
    publish(store, "dice")
    publish(store, "judge", **(judge or {}))
    limits = EngineSettings(**settings)
    engine = Engine(store, families, inline_workers(limits), limits, observer=Ended())
    engine.start()
    await engine.started()
    try:
        yield engine
    finally:
        Judge.gate.set()
        await engine.stop()


@pytest.fixture
def start(families, tmp_path):
    return lambda **kwargs: running(families, tmp_path, **kwargs)


async def kept_of(engine, sample_count, *, rule=None, **asked):
    """Indexes and samples that are kept, and the last count of draws."""
    indexes, samples, draws = [], [], 0
    rule = rule or Rule(JUDGE, "third")
    with cascade(engine, DICE, rule, sample_count=sample_count, seed=SEED, **asked) as admitted:
        first = admitted.draw.submission.call.first_index
        async for kept in admitted.kept():
            assert kept.draw_count > draws
            draws = kept.draw_count
            if kept.chunk is not None:
                assert len(kept.chunk) == len(kept.chunk.results["samples"])
                indexes += [first + row for start, stop in kept.chunk.ranges for row in range(start, stop)]
                samples += list(kept.chunk.results["samples"])
    return indexes, samples, draws


async def read_into(found, steps):
    async for kept in steps:
        found.append(kept)


@pytest.fixture(scope="module")
def judged(families, folder):
    """An engine that lives as long as the module's loop, and which of its first 2,000 draws pass."""
    with asyncio.Runner() as runner:

        async def begin():
            stack = running(families, folder)
            engine = await stack.__aenter__()
            draw = engine.sample(DICE, sample_count=2000, seed=SEED)
            samples = np.concatenate([chunk.results["samples"] async for chunk in draw.events()])
            return stack, engine, samples

        stack, engine, samples = runner.run(begin())
        yield runner, engine, samples, np.flatnonzero(samples.argmax(axis=1) == 2).tolist()
        runner.run(stack.__aexit__(None, None, None))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    chunk_rows=st.integers(0, 40),
    first_index=st.integers(0, 200),
    files=st.booleans(),
)
def test_however_a_request_is_cut_and_chunked_the_same_draws_are_kept(judged, cuts, chunk_rows, first_index, files):
    runner, engine, drawn, passing = judged
    expected = [index for index in passing if index >= first_index][: sum(cuts)]
    indexes, next_index = [], first_index
    for count in cuts:
        output = Output("uint8") if files else None
        part, samples, draws = runner.run(
            kept_of(engine, count, first_index=next_index, chunk_rows=chunk_rows, output=output)
        )
        assert len(part) == count
        next_index += draws
        assert next_index == part[-1] + 1
        indexes += part
        if not files:
            np.testing.assert_array_equal(samples, drawn[part])
    assert indexes == expected


@settings(max_examples=20, deadline=None)
@given(sample_count=st.integers(1, 60), more=st.integers(0, 60), least=st.floats(0.4, 0.95))
def test_a_limit_of_draws_tells_what_was_found_and_where_to_go_on(judged, sample_count, more, least):
    runner, engine, drawn, _ = judged
    powers = np.exp(drawn)
    passing = np.flatnonzero((powers / powers.sum(axis=1, keepdims=True))[:, 2] >= np.float32(least)).tolist()
    limit = sample_count + more
    rule = Rule(JUDGE, "third", min_probability=float(np.float32(least)), max_draws=limit)
    found = [index for index in passing if index < limit]
    if len(found) >= sample_count:
        indexes, _, _ = runner.run(kept_of(engine, sample_count, rule=rule))
        assert indexes == found[:sample_count]
    else:
        with pytest.raises(DrawsExhausted) as raised:
            runner.run(kept_of(engine, sample_count, rule=rule))
        assert raised.value.metadata == {
            "draw_count": str(limit),
            "sample_count": str(len(found)),
            "next_index": str(limit),
        }


async def test_a_request_that_has_enough_ends_well_and_what_it_did_not_need_is_told_as_given_up(start):
    async with start() as engine:
        _, _, draws = await kept_of(engine, 20)
        rows = engine.catalog.observer.rows
    assert draws <= rows["dice", "sample", "ok"] <= draws + 20
    assert rows["dice", "sample", "ok"] + rows["dice", "sample", "cancelled"] == 2000
    assert ("judge", "classify", "cancelled") not in rows


async def test_a_classifier_with_a_short_queue_is_waited_for(start):
    async with start(judge={"max_batch_rows": 2, "max_queue_rows": 4}) as engine:
        flow = Flow("ipv4:10.0.0.1")
        answers = await asyncio.gather(*(kept_of(engine, 40, flow=flow) for _ in range(4)))
    assert all(answer[0] == answers[0][0] for answer in answers)


async def test_a_cascade_ends_on_the_version_of_the_classifier_that_it_began_on(start):
    async with start() as engine:
        with cascade(engine, DICE, Rule(JUDGE, "third"), sample_count=100, seed=SEED, chunk_rows=5) as admitted:
            steps = admitted.kept()
            await anext(steps)
            version = engine.unload(ModelName("judge", version=1))
            for _ in range(20):
                await asyncio.sleep(0)
            assert version.state is State.DRAINING
            last = [kept async for kept in steps][-1]
            assert last.sample_count == 100
            assert version.batcher is not None
        while version.state is not State.UNLOADED:  # noqa: ASYNC110 - a catalog tells listeners, and has no event
            await asyncio.sleep(0)


async def test_a_draining_server_lets_a_cascade_look_at_what_it_has_drawn(start):
    async with start() as engine:
        whole, _, _ = await kept_of(engine, 300)
        found = []
        with cascade(engine, DICE, Rule(JUDGE, "third"), sample_count=300, seed=SEED, chunk_rows=5) as admitted:
            steps = admitted.kept()
            found.append(await anext(steps))
            drain = asyncio.create_task(engine.drain(30))
            await asyncio.sleep(0)
            with pytest.raises(ServerDraining) as raised:
                await read_into(found, steps)
        await drain
        next_index = int(raised.value.metadata["next_index"])
    indexes = [row for kept in found if kept.chunk for start, stop in kept.chunk.ranges for row in range(start, stop)]
    assert next_index == found[-1].draw_count
    assert indexes == [index for index in whole if index < next_index]


async def test_a_version_that_was_given_up_takes_nothing_more(start):
    async with start(unload_limit_s=0) as engine:
        with engine.using(JUDGE, "classify") as version:
            engine.unload(ModelName("judge", version=1))
            while version.batcher is not None:  # noqa: ASYNC110 - a catalog tells listeners, and has no event
                await asyncio.sleep(0)
            with pytest.raises(ModelNotReady, match="judge"):
                await engine.call(version, "classify", {"inputs": np.zeros((1, 3), np.float32)})


async def test_a_cascade_that_is_given_up_while_the_classifier_works_leaves_nothing(start):
    async with start() as engine:
        Judge.gate.clear()

        async def read():
            await kept_of(engine, 100)

        reader = asyncio.create_task(read())
        while not engine.catalog.ready(JUDGE).batcher._live:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        Judge.gate.set()
        await engine.drain(30)
        rows = engine.catalog.observer.rows
        assert rows["dice", "sample", "cancelled"] == 10_000
        assert rows["judge", "classify", "cancelled"] > 0


async def test_a_sample_that_the_generator_may_not_draw_is_its_fault_and_not_the_requests(start, monkeypatch):
    async with start() as engine:
        monkeypatch.setattr(Dice, "wild", True)
        with pytest.raises(ModelError, match="dice/versions/1 drew what models/judge/versions/1 does not take"):
            await kept_of(engine, 5)
