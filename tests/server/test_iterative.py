"""Samples that take many steps, seen on their way and as they are ready."""

import numpy as np
import pytest
from iterative_toys import Letters, Walk

from genservice.plugin_host import Family
from genservice.store.store import ModelStore
from genservice.v1.generation_pb2 import SAMPLE_ORDER_AS_READY, SampleRequest
from genservice.v1.models_pb2 import GetModelRequest
from genservice.v1.types_pb2 import Condition, OptionValue, StringRows

WALK, LETTERS = "models/walk", "models/letters"


@pytest.fixture
def families():
    return {model.family: Family(model.family, model, "toys", "1.0") for model in (Walk, Letters)}


@pytest.fixture
def store(tmp_path, publish):
    store = ModelStore([tmp_path / "store"])
    for family in ("walk", "letters"):
        publish(store, family, family, max_batch_rows=4, batch_sizes=(4,))
    return store


def number(value):
    return OptionValue(int64_value=value)


def strings(*values):
    return OptionValue(strings_value=StringRows(rows=values))


def prompts(*texts):
    return Condition(strings=StringRows(rows=texts))


def of_kind(messages, kind):
    return [getattr(message, kind) for message in messages if message.HasField(kind)]


def places(message):
    return np.frombuffer(message.tensor.data, "<f4").reshape(message.tensor.shape)


def indexes(chunk):
    return [index for part in chunk.indexes for index in range(part.start, part.end)]


def texts(messages):
    return [text for chunk in of_kind(messages, "chunk") for text in chunk.text.rows]


async def test_a_chunk_does_not_wait_for_samples_that_take_longer(running, read_all):
    messages = await read_all(
        running.generation.Sample(SampleRequest(model=WALK, seed=1, sample_count=10, options={"steps": number(3)}))
    )
    chunks = of_kind(messages, "chunk")
    assert len(chunks) > 1
    assert [index for chunk in chunks for index in indexes(chunk)] == list(range(10))
    assert messages[0].header.determinism == 2


async def test_samples_are_sent_as_they_are_ready_where_asked_for(running, read_all):
    request = SampleRequest(model=WALK, seed=1, first_index=5, sample_count=9, order=SAMPLE_ORDER_AS_READY)
    in_order = SampleRequest(model=WALK, seed=1, first_index=5, sample_count=9)
    found = {}
    for chunk in of_kind(await read_all(running.generation.Sample(request)), "chunk"):
        found.update(zip(indexes(chunk), places(chunk), strict=True))
    whole = of_kind(await read_all(running.generation.Sample(in_order)), "chunk")
    np.testing.assert_array_equal([found[index] for index in range(5, 14)], np.concatenate(list(map(places, whole))))


async def test_previews_are_samples_of_fewer_steps(running, read_all):
    request = SampleRequest(model=WALK, seed=1, sample_count=1, options={"steps": number(5)}, preview_steps=2)
    previews = of_kind(await read_all(running.generation.Sample(request)), "preview")
    assert [preview.step for preview in previews] in ([2, 4], [4])  # a slow reader gets the last alone
    for preview in previews:
        shorter = SampleRequest(model=WALK, seed=1, sample_count=1, options={"steps": number(preview.step)})
        (chunk,) = of_kind(await read_all(running.generation.Sample(shorter)), "chunk")
        np.testing.assert_array_equal(places(preview), places(chunk))


async def test_the_deltas_of_a_text_are_the_text(running, read_all):
    request = SampleRequest(
        model=LETTERS, seed=3, first_index=7, sample_count=3, options={"max_length": number(20)}, text_deltas=True
    )
    messages = await read_all(running.generation.Sample(request))
    deltas = of_kind(messages, "text_delta")
    for index, text in zip(range(7, 10), texts(messages), strict=True):
        mine = [delta for delta in deltas if delta.index == index]
        assert "".join(delta.text for delta in mine) == text
        assert [delta.character_offset for delta in mine] == [delta.token_offset for delta in mine]
        assert len(text) == 20


async def test_a_text_ends_before_a_stop_string(running, read_all):
    request = SampleRequest(model=LETTERS, seed=3, sample_count=1, options={"max_length": number(20)})
    (whole,) = texts(await read_all(running.generation.Sample(request)))
    request.options["stop"].CopyFrom(strings(whole[5:7], "no such"))
    assert texts(await read_all(running.generation.Sample(request))) == [whole[: whole.index(whole[5:7])]]


async def test_prompts_of_other_lengths_share_a_stream(running, read_all):
    request = SampleRequest(
        model=LETTERS, seed=3, sample_count=4, conditions={"prompt": prompts("abc", "", "a", "abcdef")}
    )
    together = texts(await read_all(running.generation.Sample(request)))
    for index, prompt in enumerate(("abc", "", "a", "abcdef")):
        alone = SampleRequest(
            model=LETTERS, seed=3, first_index=index, sample_count=1, conditions={"prompt": prompts(prompt)}
        )
        assert texts(await read_all(running.generation.Sample(alone))) == [together[index]]


@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        (SampleRequest(model=WALK, sample_count=1, preview_steps=-1), "preview_steps", "0 or greater"),
        (SampleRequest(model=WALK, sample_count=1, text_deltas=True), "text_deltas", "no text_deltas"),
        (SampleRequest(model=LETTERS, sample_count=1, preview_steps=1), "preview_steps", "no preview"),
        (SampleRequest(model=WALK, sample_count=1, order=7), "order", "7"),
        (
            SampleRequest(model=LETTERS, sample_count=1, conditions={"prompt": prompts("abcdefg")}),
            "conditions.prompt",
            "at most 6 letters",
        ),
        (
            SampleRequest(model=LETTERS, sample_count=1, options={"stop": OptionValue(string_value="a")}),
            "options.stop",
            "tuple",
        ),
        (SampleRequest(model=WALK, sample_count=1, options={"steps": number(51)}), "options.steps", "50"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_is_refused_with_the_fields_name(running, refused, request_, field, message):
    refusal = await refused(running.generation.Sample(request_))
    assert refusal.code.name in ("INVALID_ARGUMENT", "OUT_OF_RANGE")
    assert refusal.field == field
    assert message in refusal.message


async def test_a_step_that_raises_is_told_to_the_one_whose_row_it_is(running, refused, read_all):
    poisoned = running.generation.Sample(
        SampleRequest(model=WALK, seed=1, sample_count=1, options={"poison": OptionValue(bool_value=True)})
    )
    innocent = running.generation.Sample(SampleRequest(model=WALK, seed=2, sample_count=3))
    refusal = await refused(poisoned)
    assert refusal.code.name == "INTERNAL"
    assert "poison" not in refusal.message
    assert sum(len(indexes(chunk)) for chunk in of_kind(await read_all(innocent), "chunk")) == 3


async def test_a_client_that_leaves_gives_its_slots_back(running):
    call = running.generation.Sample(
        SampleRequest(model=WALK, seed=1, sample_count=1000, options={"steps": number(50)})
    )
    await call.read()
    call.cancel()
    await running.told.until(lambda: ("walk", "sample", "cancelled") in running.told.outcomes)
    version = running.engine.catalog.find("walk", 1)
    await version.batcher.drained()
    assert running.value("genservice_running_rows", model="walk", version=1) == 0


async def test_a_model_tells_what_can_be_seen_on_the_way_and_what_may_be_left_out(running):
    walk = (await running.models.GetModel(GetModelRequest(name=WALK))).model.versions[0]
    letters = (await running.models.GetModel(GetModelRequest(name=LETTERS))).model.versions[0]
    assert list(walk.features) == ["preview"]
    assert list(letters.features) == ["text_deltas"]
    assert letters.conditions["prompt"].optional
    assert '"array"' in letters.options_schema
