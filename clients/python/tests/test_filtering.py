"""Draws of which a classifier keeps some: here, every third index."""

import contextlib

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import genservice_client as gc_client
from genservice.v1 import generation_pb2
from genservice_client.filtering import FilteredDraw
from genservice_client.row_values import Conditions

EVERY_THIRD = gc_client.SampleFilter(classifier="judge", label="one", max_draws=100)


def limited(max_draws):
    return gc_client.SampleFilter(classifier="judge", label="one", max_draws=max_draws)


def asked(service):
    return [
        (request.first_index, request.sample_count, request.filter.max_draws) for request in service.requests["Sample"]
    ]


async def test_what_passes_keeps_its_index(side, client, service):
    stream = client.sample("digits", 5, seed=7, first_index=10, keep=EVERY_THIRD)
    samples = await side.call(stream.all())
    assert samples.indexes.tolist() == [12, 15, 18, 21, 24]
    assert samples.to_numpy()[:, 0].tolist() == [12, 15, 18, 21, 24]
    assert (stream.summary.sample_count, stream.summary.draw_count) == (5, 15)
    assert stream.summary.rate == pytest.approx(1 / 3)
    assert asked(service) == [(10, 5, 100)]


async def test_the_request_says_all_that_was_asked(side, client, service):
    keep = gc_client.SampleFilter(classifier="judge:stable", label="one", min_probability=0.9, options={"sharp": True})
    await side.collect(client.sample("digits", 3, keep=keep))
    sent = service.requests["Sample"][0].filter
    assert sent.classifier == "models/judge/labels/stable"
    assert (sent.label, sent.min_probability, sent.max_draws) == ("one", 0.9, 300)
    assert sent.options["sharp"].bool_value


def classifiers(service):
    return [request.filter.classifier for request in service.requests["Sample"]]


async def test_a_stream_goes_on_with_the_version_of_the_classifier_that_it_began_with(side, client, service, cut):
    service.streams.append(["header", 2, cut()])
    stream = client.sample("digits", 5, keep=EVERY_THIRD)
    await side.call(stream.read())
    service.classifier_version = 4
    await side.collect(stream)
    assert classifiers(service) == ["models/judge", "models/judge/versions/3"]
    assert stream.header.classifier == "models/judge/versions/3"
    assert not service.requests["GetModel"]


async def test_a_stream_that_has_not_begun_is_pinned_to_no_classifier(side, client, service, cut):
    service.streams.append([cut()])
    service.streams.append(["header", cut()])
    await side.collect(client.sample("digits", 5, keep=EVERY_THIRD))
    assert classifiers(service) == ["models/judge", "models/judge", "models/judge/versions/3"]


async def test_another_classifier_never_goes_on_in_its_place(side, client, service, cut):
    service.streams.append(["header", 1, cut()])
    stream = client.sample("digits", 5, keep=EVERY_THIRD)
    await side.call(stream.read())
    service.changes["classifier"] = "models/judge/versions/4"
    with pytest.raises(gc_client.StreamChangedError, match="filtered by models/judge/versions/3"):
        await side.collect(stream)


async def test_without_a_filter_there_is_no_classifier(side, client):
    stream = client.sample("digits", 1)
    await side.collect(stream)
    assert stream.header.classifier == ""


CUTS = {
    "before the header": [["CUT"]],
    "after the header": [["header", "CUT"]],
    "after some looks": [["header", 2, "CUT"]],
    "again and again": [["header", 1, "CUT"], ["header", 1, "CUT"], ["header", "CUT"], ["header", 3, "CUT"]],
    "before the summary": [["header", 100, "CUT"]],
    "without a status": [["header", 2]],
    "by a summary that came too early": [["header", 1, "summary"]],
}


@pytest.mark.parametrize("streams", CUTS.values(), ids=CUTS)
async def test_a_draw_that_was_cut_agrees_with_one_that_was_not(side, client, service, cut, streams):
    undisturbed = client.sample("digits", 7, seed=7, first_index=5, keep=EVERY_THIRD)
    expected = await side.call(undisturbed.all())
    service.streams.extend([cut() if step == "CUT" else step for step in steps] for steps in streams)
    stream = client.sample("digits", 7, seed=7, first_index=5, keep=EVERY_THIRD)
    samples = await side.call(stream.all())
    assert samples.indexes.tolist() == expected.indexes.tolist() == [6, 9, 12, 15, 18, 21, 24]
    assert np.array_equal(samples.to_numpy(), expected.to_numpy())
    assert stream.summary.draw_count == undisturbed.summary.draw_count == 20


async def test_what_goes_on_asks_for_the_rest_from_where_it_came_to(side, client, service, cut):
    service.streams.append(["header", 2, cut()])
    await side.collect(client.sample("digits", 5, seed=7, keep=EVERY_THIRD))
    assert asked(service) == [(0, 5, 100), (8, 2, 92)]
    assert service.requests["Sample"][1].content_hash == "abc"


async def test_looks_that_find_nothing_are_progress(side, running, service, cut, clock):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=2, initial_backoff_s=1))

    def nothing(request):
        chunk = generation_pb2.SampleChunk(next_index=request.first_index + 1)
        return generation_pb2.SampleResponse(chunk=chunk)

    service.streams.extend([["header", nothing, cut()]] * 5)
    samples = await side.call(client.sample("digits", 2, keep=EVERY_THIRD).all())
    assert samples.indexes.tolist() == [6, 9]
    assert clock.sleeps == [1] * 5


async def test_draws_that_do_not_suffice_are_an_error_that_holds_what_was_found(side, client):
    with pytest.raises(gc_client.DrawsExhaustedError, match="4 of 5 samples passed") as caught:
        await side.call(client.sample("digits", 5, first_index=1, keep=limited(12)).all())
    error = caught.value
    assert error.samples.indexes.tolist() == [3, 6, 9, 12]
    assert (error.sample_count, error.draw_count, error.next_index) == (4, 12, 13)
    assert (error.reason, error.code) == ("DRAWS_EXHAUSTED", grpc.StatusCode.OUT_OF_RANGE)


async def test_draws_count_over_a_cut(side, client, service, cut):
    service.streams.append(["header", 2, cut()])
    with pytest.raises(gc_client.DrawsExhaustedError) as caught:
        await side.call(client.sample("digits", 10, keep=limited(12)).all())
    # After 8 draws 7 are wanted, and only 4 may be drawn: no request asks for more than it may draw.
    assert asked(service) == [(0, 10, 12), (8, 4, 4)]
    assert caught.value.samples.indexes.tolist() == [0, 3, 6, 9]
    assert (caught.value.sample_count, caught.value.draw_count, caught.value.next_index) == (4, 12, 12)


async def test_draws_that_are_used_up_at_a_cut_are_found_out_on_this_side(side, client, service, cut):
    service.streams.append(["header", 3, cut()])
    with pytest.raises(gc_client.DrawsExhaustedError) as caught:
        await side.call(client.sample("digits", 10, keep=limited(12)).all())
    assert asked(service) == [(0, 10, 12)]
    assert caught.value.draw_count == 12


async def test_a_last_request_that_gives_all_it_may_is_not_taken_for_the_whole(side, client, service, cut):
    service.streams.append(["header", 2, cut()])
    with pytest.raises(gc_client.DrawsExhaustedError) as caught:
        await side.call(client.sample("digits", 5, first_index=1, keep=limited(9)).all())
    # One draw is left, and it passes; but two were wanted.
    assert asked(service) == [(1, 5, 9), (9, 1, 1)]
    assert caught.value.samples.indexes.tolist() == [3, 6, 9]


async def test_a_stream_gives_out_what_it_finds_before_the_error(side, client):
    stream = client.sample("digits", 5, keep=limited(7))
    found = [(await side.call(stream.read())).indexes.tolist() for _ in range(2)]
    assert found == [[0, 3], [6]]
    with pytest.raises(gc_client.DrawsExhaustedError) as caught:
        await side.call(stream.read())
    assert caught.value.samples is None


async def test_nothing_found_is_none(side, client):
    with pytest.raises(gc_client.DrawsExhaustedError) as caught:
        await side.call(client.sample("digits", 1, first_index=1, keep=limited(2)).all())
    assert (caught.value.samples, caught.value.sample_count) == (None, 0)


@given(
    first_index=st.integers(0, 5),
    sample_count=st.integers(1, 8),
    spare_draws=st.integers(0, 30),
    passing=st.sets(st.integers(0, 40)),
    chunks=st.lists(st.tuples(st.integers(1, 7), st.booleans()), max_size=60),
)
def test_however_it_is_cut_a_draw_finds_what_one_request_would(first_index, sample_count, spare_draws, passing, chunks):
    max_draws = sample_count + spare_draws
    request = generation_pb2.SampleRequest(
        model="models/digits", seed=1, first_index=first_index, sample_count=sample_count
    )
    request.filter.CopyFrom(limited(max_draws).message(sample_count))
    draw = FilteredDraw(request, Conditions({}, 1), max_request_bytes=100)
    found = []
    steps = iter(chunks)
    with contextlib.suppress(gc_client.DrawsExhaustedError):
        while not draw.complete:
            found += answered(draw, draw.ask_next(), passing, steps)
    drawn = range(first_index, first_index + max_draws)
    expected = [index for index in drawn if index in passing][:sample_count]
    assert found == expected
    assert draw.draw_count == (expected[-1] + 1 - first_index if len(expected) == sample_count else max_draws)


def answered(draw, asked, passing, steps):
    """Answers a request in chunks, and cuts it off after one of them or not at all; gives what came out."""
    header = generation_pb2.SampleHeader(model="models/digits/versions/3", seed=1)
    asked.receive(generation_pb2.SampleResponse(header=header))
    place, kept, found = asked.request.first_index, 0, []
    end = place + asked.request.filter.max_draws
    while place < end and kept < asked.request.sample_count:
        rows, cut_after = next(steps, (7, False))
        looked_at = range(place, min(place + rows, end))
        passed = [index for index in looked_at if index in passing][: asked.request.sample_count - kept]
        kept += len(passed)
        place = passed[-1] + 1 if kept == asked.request.sample_count else looked_at[-1] + 1
        chunk = generation_pb2.SampleChunk(next_index=place)
        for index in passed:
            chunk.indexes.add(start=index, end=index + 1)
            chunk.text.rows.append(str(index))
        asked.receive(generation_pb2.SampleResponse(chunk=chunk))
        while (taken := draw.take()) is not None:
            found += taken.indexes.tolist()
        if cut_after:
            break
    return found


WRONG_CHUNKS = {
    "backwards": [((4, 5), 3)],
    "without telling how far": [((0, 1), 0)],
    "a second time": [((0, 1), 4), ((3, 4), 8)],
    "too far": [((0, 1), 101)],
    "out of order": [((3, 4), (1, 2), 5)],
}


@pytest.mark.parametrize("chunks", WRONG_CHUNKS.values(), ids=WRONG_CHUNKS)
async def test_chunks_that_do_not_fit_are_not_taken(side, running, service, chunks):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=2))

    def chunk(ranges, next_index):
        def respond(request):
            response = service.chunk(request, *ranges)
            response.chunk.next_index = next_index
            return response

        return respond

    steps = [chunk(ranges, next_index) for *ranges, next_index in chunks]
    service.streams.append(["header", *steps])
    samples = await side.call(client.sample("digits", 3, keep=EVERY_THIRD).all())
    assert samples.indexes.tolist() == [0, 3, 6] if len(chunks) == 1 else [0, 6, 9]


async def test_one_replica_draws_at_a_time_and_another_goes_on(side, another_service, cut):
    replicas = [another_service() for _ in range(2)]
    limits = gc_client.Limits(part_rows=1)
    client = side.client([replica.target for replica in replicas], limits=limits)
    for replica in replicas:
        replica.service.streams.append(["header", 2, cut()])
    samples = await side.call(client.sample("digits", 9, seed=7, keep=EVERY_THIRD).all())
    assert samples.indexes.tolist() == list(range(0, 27, 3))
    drawn = sorted(part for replica in replicas for part in asked(replica.service))
    assert drawn == [(0, 9, 100), (8, 6, 92), (16, 3, 84)]


WRONG = {
    "no label": {"label": ""},
    "a probability above 1": {"min_probability": 1.5},
    "a negative limit": {"max_draws": -1},
    "no name": {"classifier": "a/b"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_wrong_filter_is_refused(change):
    with pytest.raises(ValueError, match=r".+"):
        gc_client.SampleFilter(**({"classifier": "judge", "label": "one"} | change))


@pytest.mark.parametrize(
    "arguments",
    [
        {"keep": limited(3)},
        {"first_index": 2**63 - 50, "keep": EVERY_THIRD},
        {"order": "as_ready"},
        {"preview_steps": 1},
        {"text_deltas": True},
        {"conditions": {"prompt": ["a", "b", "c", "d"]}},
    ],
)
async def test_what_cannot_be_had_with_a_filter_is_refused_before_a_call(side, client, service, arguments):
    with pytest.raises(ValueError, match=r".+"):
        client.sample("digits", 4, **({"keep": EVERY_THIRD} | arguments))
    assert not service.metadata


async def test_without_a_filter_as_many_are_drawn_as_come(side, client):
    stream = client.sample("digits", 5)
    await side.collect(stream)
    assert (stream.summary.draw_count, stream.summary.rate) == (5, 1.0)
