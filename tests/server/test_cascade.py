"""A generator and a classifier that decides which samples are sent."""

import asyncio

import grpc
import numpy as np
import pytest

from genservice.store.names import ModelName
from genservice.v1.generation_pb2 import Output, SampleFilter, SampleRequest
from genservice.v1.types_pb2 import DATA_TYPE_UINT8

TOY = "models/toy"
LABELS = ("circle", "square", "star")


def request(sample_count, label="star", **replaced):
    rule = {name: replaced.pop(name) for name in ("classifier", "min_probability", "max_draws") if name in replaced}
    return SampleRequest(
        model=TOY,
        seed=5,
        sample_count=sample_count,
        filter=SampleFilter(label=label, **{"classifier": TOY, **rule}),
        **replaced,
    )


def samples_of(responses):
    """Kept samples by index, the last `next_index`, and the summary."""
    kept, next_index, summary = {}, 0, None
    for response in responses:
        if response.HasField("summary"):
            summary = response.summary
        if not response.HasField("chunk"):
            continue
        assert response.chunk.next_index > next_index
        next_index = response.chunk.next_index
        indexes = [index for part in response.chunk.indexes for index in range(part.start, part.end)]
        rows = np.frombuffer(response.chunk.tensor.data, "<f4").reshape(-1, 3)
        assert len(rows) == len(indexes)
        kept.update(zip(indexes, rows, strict=True))
    return kept, next_index, summary


async def drawn(running, read_all, sample_count, **asked):
    responses = await read_all(running.generation.Sample(SampleRequest(model=TOY, seed=5, sample_count=sample_count)))
    return samples_of_plain(responses)


def samples_of_plain(responses):
    rows = [np.frombuffer(each.chunk.tensor.data, "<f4").reshape(-1, 3) for each in responses if each.HasField("chunk")]
    return np.concatenate(rows)


async def test_what_passes_is_what_the_classifier_says_of_the_same_draws(running, read_all):
    kept, next_index, summary = samples_of(await read_all(running.generation.Sample(request(100))))
    everything = await drawn(running, read_all, next_index)
    passing = np.flatnonzero(everything.argmax(axis=1) == LABELS.index("star"))
    assert list(kept) == passing.tolist()
    assert len(kept) == 100
    assert next_index == passing[-1] + 1
    for index, row in kept.items():
        np.testing.assert_array_equal(row, everything[index])
    assert (summary.sample_count, summary.draw_count) == (100, next_index)


async def test_a_least_probability_is_heeded(running, read_all):
    kept, next_index, _ = samples_of(await read_all(running.generation.Sample(request(20, min_probability=0.8))))
    everything = await drawn(running, read_all, next_index)
    powers = np.exp(everything)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    assert list(kept) == np.flatnonzero(probabilities[:, 2] >= 0.8).tolist()


async def test_a_stream_that_is_cut_goes_on_where_it_stopped(running, read_all):
    whole, _, _ = samples_of(await read_all(running.generation.Sample(request(60))))
    for first in (10, 33):
        part, next_index, _ = samples_of(await read_all(running.generation.Sample(request(first))))
        rest, _, _ = samples_of(await read_all(running.generation.Sample(request(60 - first, first_index=next_index))))
        assert list(part) + list(rest) == list(whole)


async def test_the_header_names_the_version_that_decides_and_a_filter_that_names_it_goes_on_with_it(
    serve, store, publish, read_all
):
    async with serve() as running:
        before = await read_all(running.generation.Sample(request(30, classifier="models/toy")))
        publish(store, "toy", "toy")
        await running.engine.load(ModelName("toy"))
        await running.told.until(lambda: running.engine.catalog.default("toy").number == 2)
        _, next_index, _ = samples_of(before)
        classifiers = {TOY: "models/toy/versions/2", before[0].header.classifier: "models/toy/versions/1"}
        for asked, answering in classifiers.items():
            call = running.generation.Sample(request(5, classifier=asked, first_index=next_index))
            assert (await read_all(call))[0].header.classifier == answering


async def test_without_a_filter_no_classifier_is_named(running, read_all):
    responses = await read_all(running.generation.Sample(SampleRequest(model=TOY, sample_count=1)))
    assert responses[0].header.classifier == ""


async def test_chunks_have_no_more_rows_than_were_asked_for(running, read_all):
    responses = await read_all(running.generation.Sample(request(40, chunk_rows=3)))
    kept, _, _ = samples_of(responses)
    assert len(kept) == 40
    assert all(sum(part.end - part.start for part in each.chunk.indexes) <= 3 for each in responses)


async def test_what_passes_has_the_form_that_was_asked_for(running, read_all):
    plain, _, _ = samples_of(await read_all(running.generation.Sample(request(30))))
    asked = request(30, output=Output(tensor=DATA_TYPE_UINT8))
    responses = await read_all(running.generation.Sample(asked))
    rows = [np.frombuffer(each.chunk.tensor.data, np.uint8).reshape(-1, 3) for each in responses]
    scaled = (np.stack(list(plain.values())) + 100) * np.float32(255 / 200)
    np.testing.assert_array_equal(np.concatenate(rows), np.rint(scaled))


async def test_an_impossible_rule_ends_after_the_limit_with_what_was_found(running, refused, read_all):
    call = running.generation.Sample(request(200, max_draws=300))
    responses = []

    async def read():
        async for response in call:
            responses.append(response)

    refusal = await refused(read())
    kept, next_index, summary = samples_of(responses)
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "DRAWS_EXHAUSTED")
    assert 0 < len(kept) < 200
    assert next_index == 300
    assert summary is None
    assert dict(refusal.info.metadata) == {
        "draw_count": "300",
        "sample_count": str(len(kept)),
        "next_index": "300",
    }


async def test_a_rule_that_nothing_passes_tells_how_far_it_is(running, refused):
    responses = []

    async def read():
        async for response in running.generation.Sample(request(1, min_probability=1, max_draws=100)):
            responses.append(response)

    refusal = await refused(read())
    assert refusal.info.metadata["sample_count"] == "0"
    assert [each.chunk.next_index for each in responses if each.HasField("chunk")][-1] == 100


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"classifier": "models/none"}, "NOT_FOUND", "filter.classifier"),
        ({"classifier": "toy"}, "INVALID_ARGUMENT", "filter.classifier"),
        ({"classifier": "models/image"}, "UNIMPLEMENTED", "filter.classifier"),
        ({"classifier": "models/gated", "label": "a"}, "INVALID_ARGUMENT", "filter.classifier"),
        ({"label": "stra"}, "INVALID_ARGUMENT", "filter.label"),
        ({"label": ""}, "INVALID_ARGUMENT", "filter.label"),
        ({"min_probability": 1.5}, "OUT_OF_RANGE", "filter.min_probability"),
        ({"min_probability": -0.5}, "OUT_OF_RANGE", "filter.min_probability"),
        ({"min_probability": float("nan")}, "OUT_OF_RANGE", "filter.min_probability"),
        ({"max_draws": 5}, "OUT_OF_RANGE", "filter.max_draws"),
        ({"max_draws": -1}, "OUT_OF_RANGE", "filter.max_draws"),
        ({"preview_steps": 1}, "INVALID_ARGUMENT", "preview_steps"),
        ({"order": 1}, "INVALID_ARGUMENT", "order"),
        ({"first_index": -1}, "INVALID_ARGUMENT", "first_index"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(running, refused, changes, code, field):
    refusal = await refused(running.generation.Sample(request(10, **changes)))
    assert (refusal.code.name, refusal.field) == (code, field)


async def test_options_of_the_classifier_are_checked_under_their_own_path(running, refused):
    asked = request(10)
    asked.filter.options["shfit"].double_value = 1
    refusal = await refused(running.generation.Sample(asked))
    assert refusal.field == "filter.options.shfit"


@pytest.mark.parametrize("sample_count", [0, -1])
async def test_a_count_that_is_none_is_refused_as_without_a_filter(running, refused, sample_count):
    refusal = await refused(running.generation.Sample(request(sample_count)))
    assert (refusal.code.name, refusal.field) == ("INVALID_ARGUMENT", "sample_count")


async def test_a_cancelled_filter_leaves_nothing_behind(running):
    call = running.generation.Sample(request(1, min_probability=1, max_draws=1_000_000))
    await call.read()
    await call.read()
    call.cancel()
    await running.told.until(lambda: ("toy", "sample", "cancelled") in running.told.outcomes)
    # A drain would wait for its whole limit, and then give up what is left, of rows and of versions that are held.
    async with asyncio.timeout(30):
        await running.engine.drain(3600)
    assert running.value("genservice_queued_rows", model="toy", version=1) == 0
    assert running.value("genservice_running_rows", model="toy", version=1) == 0
    assert {outcome for _, _, outcome in running.told.outcomes} <= {"ok", "cancelled"}
