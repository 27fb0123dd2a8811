"""The engine over real stores and an inline worker."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from genservice.engine.call import Output
from genservice.engine.catalog import State
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.settings import EngineSettings
from genservice.errors import (
    ContentChanged,
    InvalidRequest,
    ModelFailed,
    ModelNotReady,
    NotFound,
    OutOfRange,
    QueueFull,
    ServerDraining,
    VerbNotSupported,
)
from genservice.store.names import ModelName

TOY, IMAGE = ModelName("toy"), ModelName("image")


@pytest.fixture
def running(store, families):
    @asynccontextmanager
    async def run(**settings):
        settings = EngineSettings(**settings)
        engine = Engine(store, families, inline_workers(settings), settings)
        engine.start()
        await engine.started()
        try:
            yield engine
        finally:
            await engine.stop()

    return run


async def draw(engine, name=TOY, count=20, **request):
    chunks = engine.sample(name, sample_count=count, **request).events()
    results = [chunk.results["samples"] async for chunk in chunks]
    return results if isinstance(results[0], list) else np.concatenate(results)


async def test_a_sample_is_the_same_whatever_else_is_asked_for(running):
    async with running() as engine:
        whole = await draw(engine, seed=7, count=100)
        chunked, tail, *_ = await asyncio.gather(
            draw(engine, seed=7, count=100, chunk_rows=7),
            draw(engine, seed=7, count=3, first_index=97),
            *(draw(engine, seed=seed, count=50) for seed in range(20)),
        )
        np.testing.assert_array_equal(whole, chunked)
        np.testing.assert_array_equal(whole[97:], tail)


async def test_each_request_gets_its_own_options(running):
    async with running() as engine:
        plain, shifted, square, negative = await asyncio.gather(
            draw(engine, seed=1, options={"label": 0}),
            draw(engine, seed=1, options={"label": 0, "shift": 5.0}),
            draw(engine, seed=1, options={"label": "square"}),
            draw(engine, seed=1, options={"label": 0, "mode": "negative"}),
        )
        np.testing.assert_allclose(shifted, plain + 5, atol=1e-5)
        np.testing.assert_allclose(square, plain + 10, atol=1e-5)
        np.testing.assert_array_equal(negative, -plain)


async def test_without_a_seed_two_draws_differ_and_the_seed_is_told(running):
    async with running() as engine:
        first = engine.sample(TOY, sample_count=5)
        (samples,) = [chunk.results["samples"] async for chunk in first.events()]
        assert not np.array_equal(samples, await draw(engine, count=5))
        np.testing.assert_array_equal(samples, await draw(engine, count=5, seed=first.seed))


async def test_the_last_index_can_be_drawn(running):
    async with running() as engine:
        assert len(await draw(engine, first_index=2**63 - 2, count=1, seed=2**64 - 1)) == 1


@pytest.mark.parametrize(
    ("request_", "error", "field"),
    [
        ({"count": 0}, InvalidRequest, "sample_count"),
        ({"count": -1}, InvalidRequest, "sample_count"),
        ({"count": 2**50}, OutOfRange, "sample_count"),
        ({"first_index": -1}, InvalidRequest, "first_index"),
        ({"first_index": 2**63 - 5}, OutOfRange, "first_index"),
        ({"seed": 2**64}, OutOfRange, "seed"),
        ({"chunk_rows": -1}, InvalidRequest, "chunk_rows"),
        ({"options": {"shfit": 1.0}}, InvalidRequest, "options.shfit"),
        ({"options": {"shift": "far"}}, InvalidRequest, "options.shift"),
        ({"options": {"shift": 1e300}}, OutOfRange, "options.shift"),
        ({"options": {"label": "sqare"}}, InvalidRequest, "options.label"),
        ({"options": {"label": 2}}, InvalidRequest, "options.label"),
        ({"conditions": {"mean": np.zeros((1, 1), np.float32)}}, InvalidRequest, "conditions.mean"),
        ({"output": Output(dtype="uint8")}, InvalidRequest, "output.tensor"),
        ({"output": Output(media_type="image/png")}, InvalidRequest, "output.media_type"),
        ({"content_hash": "0" * 64}, ContentChanged, "content_hash"),
    ],
)
async def test_a_bad_request_is_refused_with_its_field_and_the_next_one_is_served(running, request_, error, field):
    async with running() as engine:
        with pytest.raises(error) as refusal:
            await draw(engine, **request_)
        assert refusal.value.field == field
        assert len(await draw(engine)) == 20


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({}, "conditions.mean"),
        ({"mean": np.zeros((1, 1), np.float32)}, "conditions.name"),
        ({"mean": np.zeros((1, 2), np.float32), "name": ["x"]}, "conditions.mean"),
        ({"mean": np.zeros((3, 1), np.float32), "name": ["x"]}, "conditions.mean"),
        ({"mean": np.zeros((1, 1), np.float64), "name": ["x"]}, "conditions.mean"),
        ({"mean": np.full((1, 1), np.nan, np.float32), "name": ["x"]}, "conditions.mean"),
        ({"mean": np.full((1, 1), 2, np.float32), "name": ["x"]}, "conditions.mean"),
        ({"mean": np.zeros((1, 1), np.float32), "name": np.zeros((1,), np.float32)}, "conditions.name"),
    ],
)
async def test_a_bad_condition_is_refused_with_its_name(running, conditions, field):
    async with running() as engine:
        with pytest.raises(InvalidRequest) as refusal:
            await draw(engine, IMAGE, conditions=conditions)
        assert refusal.value.field == field


async def test_a_condition_is_shared_or_one_a_row(running):
    async with running() as engine:
        means = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
        each = await draw(engine, IMAGE, seed=3, conditions={"mean": means, "name": ["x"]})
        for row in (0, 19):
            shared = await draw(engine, IMAGE, seed=3, conditions={"mean": means[row : row + 1], "name": ["x"] * 20})
            np.testing.assert_array_equal(each[row], shared[row])


async def test_samples_are_delivered_as_uint8_and_as_files(running):
    async with running() as engine:
        conditions = {"mean": np.zeros((1, 1), np.float32), "name": ["x"]}
        plain = await draw(engine, IMAGE, seed=3, conditions=conditions)
        scaled = await draw(engine, IMAGE, seed=3, conditions=conditions, output=Output(dtype="uint8"))
        files = await draw(engine, IMAGE, seed=3, conditions=conditions, output=Output(media_type="image/png"))
        np.testing.assert_array_equal(scaled, np.rint((plain + 1) * 127.5).astype(np.uint8))
        assert all(file.startswith(b"\x89PNG") for chunk in files for file in chunk)


async def test_classify_gives_probabilities(running):
    async with running() as engine:
        version, results = await engine.call(TOY, "classify", {"inputs": np.array([[0, 1, 0]], np.float32)})
        assert version.name == ModelName("toy", version=1)
        np.testing.assert_allclose(results["probabilities"], [[0.26894143, 0.7310586]], rtol=1e-5)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((2, 4), np.float32),
        np.zeros((2,), np.float32),
        np.zeros((0, 3), np.float32),
        np.zeros((2, 3), np.float64),
        np.full((2, 3), np.inf, np.float32),
        ["a", "b"],
    ],
    ids=["wide", "flat", "empty", "double", "infinite", "strings"],
)
async def test_bad_inputs_are_refused(running, inputs):
    async with running() as engine:
        with pytest.raises(InvalidRequest) as refusal:
            await engine.call(TOY, "classify", {"inputs": inputs})
        assert refusal.value.field == "inputs"


async def test_too_many_rows_at_once_are_refused(running):
    async with running(max_call_rows=10) as engine:
        with pytest.raises(OutOfRange):
            await engine.call(TOY, "classify", {"inputs": np.zeros((11, 3), np.float32)})


async def test_a_request_that_would_hold_too_many_bytes_is_refused(running):
    async with running(max_held_bytes=2048, chunk_bytes=1024) as engine:
        first = engine.sample(TOY, sample_count=1000)
        with pytest.raises(QueueFull):
            engine.sample(TOY, sample_count=1000)
        async for _ in first.events():
            pass
        assert len(await draw(engine, count=50)) == 50


async def test_unknown_names_say_what_there_is(running):
    async with running() as engine:
        with pytest.raises(NotFound, match="Did you mean 'image'"):
            await draw(engine, ModelName("imgae"))
        with pytest.raises(NotFound, match="no version 9"):
            await draw(engine, ModelName("toy", version=9))
        with pytest.raises(NotFound, match="no label 'stable'"):
            await draw(engine, ModelName("toy", label="stable"))


async def test_a_verb_that_the_model_has_not_is_refused_with_those_it_has(running):
    async with running() as engine:
        with pytest.raises(VerbNotSupported) as refusal:
            await engine.call(IMAGE, "classify", {"inputs": np.zeros((1, 4, 4, 1), np.float32)})
        assert refusal.value.metadata["verbs"] == "sample"


async def test_a_damaged_newest_version_fails_and_an_older_one_serves(running, store, publish):
    publish(store, "toy", "toy", files={"weights.bin": b"12345"})
    weights = store.directory("toy", 2) / "weights.bin"
    weights.chmod(0o600)
    weights.write_bytes(b"12354")
    async with running() as engine:
        newest, older = engine.catalog.versions("toy")
        assert (newest.number, newest.state) == (2, State.FAILED)
        assert "weights.bin" in newest.reason
        assert (older.number, older.state) == (1, State.READY)
        assert len(await draw(engine)) == 20
        with pytest.raises(ModelFailed, match=r"weights\.bin"):
            await draw(engine, ModelName("toy", version=2))


async def test_an_unknown_family_and_a_newer_plugin_fail_and_the_others_are_served(running, store, publish):
    publish(store, "strange", "toyy")
    publish(store, "future", "toy", plugin_version="2.0")
    async with running() as engine:
        assert "toyy" in engine.catalog.versions("strange")[0].reason
        assert "2.0" in engine.catalog.versions("future")[0].reason
        assert engine.ready
        assert len(await draw(engine)) == 20


async def test_a_half_written_version_is_failed(running, store):
    (store.directory("toy", 1).parent / "2").mkdir()
    async with running() as engine:
        newest = engine.catalog.versions("toy")[0]
        assert (newest.number, newest.state) == (2, State.FAILED)
        assert "model.toml" in newest.reason
        assert len(await draw(engine)) == 20


async def test_a_version_is_loaded_beside_another_and_the_first_unloaded(running, store, publish):
    async with running() as engine:
        publish(store, "toy", "toy")
        assert (await engine.load(TOY)).state is State.LOADING
        assert await engine.load(TOY) is engine.catalog.find("toy", 2)
        await reaches(engine, "toy", 2, State.READY)
        stream = engine.sample(ModelName("toy", version=1), sample_count=100, chunk_rows=10, seed=1).events()
        await anext(stream)
        assert engine.unload(ModelName("toy", version=1)).state is State.DRAINING
        with pytest.raises(ModelNotReady):
            await draw(engine, ModelName("toy", version=1))
        assert sum([len(chunk) async for chunk in stream]) == 90
        await reaches(engine, "toy", 1, State.UNLOADED)
        assert len(await draw(engine)) == 20


async def test_a_label_points_at_a_ready_version_and_stable_is_the_default(running, store, publish):
    publish(store, "toy", "toy")
    async with running() as engine:
        with pytest.raises(NotFound):
            await engine.set_label(ModelName("toy", label="canary"), 3)
        with pytest.raises(ModelNotReady):
            await engine.set_label(ModelName("toy", label="stable"), 1)
        await engine.load(ModelName("toy", version=1))
        await reaches(engine, "toy", 1, State.READY)
        await engine.set_label(ModelName("toy", label="stable"), 1)
        assert engine.catalog.ready(TOY).number == 1
        assert engine.catalog.ready(ModelName("toy", label="stable")).number == 1
        await engine.set_label(ModelName("toy", label="stable"), 0)
        assert engine.catalog.ready(TOY).number == 2


async def test_versions_that_are_not_served_are_listed_and_say_so(running, store, publish):
    publish(store, "toy", "toy")
    async with running() as engine:
        assert [(version.number, version.state) for version in engine.catalog.versions("toy")] == [
            (2, State.READY),
            (1, State.UNLOADED),
        ]
        with pytest.raises(ModelNotReady, match="UNLOADED"):
            await draw(engine, ModelName("toy", version=1))


async def test_a_stream_goes_on_on_a_version_that_is_not_the_newest_any_more(running, store, publish):
    async with running() as engine:
        pinned = engine.catalog.ready(TOY).content_hash
        whole = await draw(engine, seed=1)
    publish(store, "toy", "toy")
    async with running() as engine:
        first = ModelName("toy", version=1)
        with pytest.raises(ModelNotReady):
            await draw(engine, first, seed=1, content_hash="0" * 64)
        assert engine.catalog.find("toy", 1).state is State.UNLOADED
        with pytest.raises(ModelNotReady) as refusal:
            await draw(engine, first, seed=1, content_hash=pinned)
        assert refusal.value.retry_after_s
        await reaches(engine, "toy", 1, State.READY)
        np.testing.assert_array_equal(await draw(engine, first, seed=1, content_hash=pinned), whole)


async def test_a_stream_that_was_cut_may_end_on_a_version_that_drains(running):
    async with running() as engine:
        pinned = engine.catalog.ready(TOY).content_hash
        other = engine.sample(TOY, sample_count=100, chunk_rows=10).events()
        await anext(other)
        engine.unload(ModelName("toy", version=1))
        assert len(await draw(engine, ModelName("toy", version=1), content_hash=pinned)) == 20
        await other.aclose()
        await reaches(engine, "toy", 1, State.UNLOADED)


async def test_while_stable_is_not_ready_no_other_version_answers_for_it(running, store, publish):
    publish(store, "toy", "toy", files={"weights.bin": b"12345"})
    store.set_label("toy", "stable", 2)
    (store.directory("toy", 2) / "weights.bin").unlink()
    publish(store, "toy", "toy")
    async with running() as engine:
        assert engine.catalog.find("toy", 3).state is State.READY
        with pytest.raises(ModelFailed, match=r"weights\.bin"):
            await draw(engine)
        assert len(await draw(engine, ModelName("toy", version=3))) == 20


async def test_a_version_is_loaded_by_a_label_that_was_set_since(running, store, publish):
    async with running() as engine:
        publish(store, "toy", "toy")
        store.set_label("toy", "canary", 2)
        assert (await engine.load(ModelName("toy", label="canary"))).number == 2
        await reaches(engine, "toy", 2, State.READY)


async def test_what_is_asked_for_last_comes_out(running):
    async with running() as engine:
        first = ModelName("toy", version=1)
        stream = engine.sample(TOY, sample_count=100, chunk_rows=10).events()
        await anext(stream)
        assert engine.unload(first).state is State.DRAINING
        assert (await engine.load(first)).state is State.DRAINING
        await stream.aclose()
        await reaches(engine, "toy", 1, State.READY)
        engine.unload(first)
        await reaches(engine, "toy", 1, State.UNLOADED)
        assert (await engine.load(first)).state is State.LOADING
        assert engine.unload(first).state is State.LOADING
        await reaches(engine, "toy", 1, State.UNLOADED)


async def test_an_unload_has_a_limit(running):
    async with running(unload_limit_s=0.05) as engine:
        stalled = engine.sample(TOY, sample_count=10**6).events()
        await anext(stalled)
        engine.unload(ModelName("toy", version=1))
        await reaches(engine, "toy", 1, State.UNLOADED)
        with pytest.raises(ServerDraining):
            async for _ in stalled:
                pass


async def test_requests_that_could_never_be_admitted_are_out_of_range(running):
    async with running(models={"toy": {"max_queue_rows": 40}}, max_held_bytes=4096, max_answer_bytes=64) as engine:
        with pytest.raises(OutOfRange, match="the most in one request is 8"):
            await engine.call(TOY, "classify", {"inputs": np.zeros((9, 3), np.float32)})
        means = np.zeros((2000, 1), np.float32)
        with pytest.raises(OutOfRange):
            await draw(engine, IMAGE, count=2000, conditions={"mean": means, "name": ["x"]})


async def test_a_required_model_that_failed_keeps_the_engine_from_ready(running):
    async with running(required_models=["toy", "missing"]) as engine:
        assert not engine.ready
        assert engine.missing_models == ["missing"]
        assert len(await draw(engine)) == 20


async def test_settings_change_how_a_model_is_served(running):
    async with running(models={"toy": {"max_batch_rows": 4}, "image": {"max_batch_rows": 0}}) as engine:
        assert engine.catalog.ready(TOY).numerics.endswith("batch 1,2,4")
        assert "models.image.max_batch_rows" in engine.catalog.versions("image")[0].reason


async def test_a_drain_ends_streams_and_refuses_new_ones(running):
    async with running() as engine:
        stalled = engine.sample(TOY, sample_count=10**6).events()
        await anext(stalled)
        finishing = asyncio.create_task(draw(engine, count=100))
        await asyncio.sleep(0)
        drain = asyncio.create_task(engine.drain(0.2))
        assert len(await finishing) == 100
        with pytest.raises(ServerDraining):
            await draw(engine)
        await drain
        with pytest.raises(ServerDraining):
            async for _ in stalled:
                pass


async def reaches(engine, model, number, state):
    changed = asyncio.Event()
    stop = engine.catalog.listen(lambda _: changed.set())
    async with asyncio.timeout(20):
        while engine.catalog.find(model, number).state is not state:
            changed.clear()
            await changed.wait()
    stop()


async def test_models_that_are_asked_for_while_others_load_come_next(store, families, publish):
    for name in ("aa", "bb", "cc"):
        publish(store, name, "toy")
    ready = []
    settings = EngineSettings(required_models=["toy"])
    engine = Engine(store, families, inline_workers(settings), settings)
    engine.catalog.listen(lambda model: ready.append(model) if engine.catalog.default(model) else None)
    engine.start()
    with pytest.raises(ModelNotReady):
        engine.catalog.ready(ModelName("cc"))
    await engine.started()
    assert list(dict.fromkeys(ready)) == ["toy", "cc", "aa", "bb", "image"]
    await engine.stop()
