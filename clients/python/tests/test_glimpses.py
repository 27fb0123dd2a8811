"""Previews and text on its way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genservice_client as gc_client
from genservice.v1 import generation_pb2, types_pb2
from genservice_client.glimpses import Glimpses, TextDelta
from genservice_client.samples import SampleChunk


def text_of(index):
    return f"sample {index}: äöü 🎵 " * (1 + index % 3)


def delta(index, start, end):
    text = text_of(index)[start:end]
    message = generation_pb2.TextDelta(index=index, token_offset=start, character_offset=start, text=text)
    return lambda request: generation_pb2.SampleResponse(text_delta=message)


def texts(*indexes):
    ranges = [types_pb2.IndexRange(start=index, end=index + 1) for index in indexes]
    rows = types_pb2.StringRows(rows=[text_of(index) for index in indexes])
    return lambda request: generation_pb2.SampleResponse(chunk=generation_pb2.SampleChunk(indexes=ranges, text=rows))


def preview(index, step, value=0.5, form="tensor"):
    message = generation_pb2.SamplePreview(index=index, step=step)
    if form == "tensor":
        data = np.full((1, 3), value, np.float32)
        message.tensor.CopyFrom(
            types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[1, 3], data=data.tobytes())
        )
    else:
        message.encoded.CopyFrom(types_pb2.EncodedRows(media_type="image/png", rows=[b"preview"]))
    return lambda request: generation_pb2.SampleResponse(preview=message)


def deltas_of(events):
    """The text of each sample, its deltas put together; each begins where the one before ended."""
    together = {}
    for event in events:
        if isinstance(event, gc_client.TextDelta):
            assert event.text
            assert event.character_offset == len(together.get(event.index, ""))
            together[event.index] = together.get(event.index, "") + event.text
    return together


def given_order(events):
    """Holds that the text of each sample is whole when the sample comes."""
    seen = {}
    for event in events:
        if isinstance(event, gc_client.TextDelta):
            seen[event.index] = seen.get(event.index, "") + event.text
        elif isinstance(event, gc_client.SampleChunk):
            for index, text in zip(event.indexes.tolist(), event.texts(), strict=True):
                assert seen[index] == text


async def test_events_are_deltas_previews_and_chunks_in_the_order_in_which_they_come(side, client, service):
    service.streams.append(["header", delta(0, 0, 5), delta(1, 0, 3), delta(0, 5, 999), texts(0), texts(1), "summary"])
    stream = client.sample("digits", 2, text_deltas=True)
    events = await side.collect(stream.events())
    assert [type(event).__name__ for event in events] == [
        *["TextDelta"] * 3,
        "SampleChunk",
        "TextDelta",
        "SampleChunk",
    ]
    # What no delta brought comes with the sample.
    assert deltas_of(events) == {0: text_of(0), 1: text_of(1)}
    assert stream.summary.sample_count == 2


async def test_iteration_gives_chunks_alone(side, client, service):
    service.streams.append(["header", delta(0, 0, 5), texts(0), texts(1), "summary"])
    chunks = await side.collect(client.sample("digits", 2, text_deltas=True))
    assert [text for chunk in chunks for text in chunk.texts()] == [text_of(0), text_of(1)]


async def test_text_is_given_once_however_often_its_stream_is_cut(side, client, service, cut):
    service.streams.extend(
        [
            ["header", delta(0, 0, 4), delta(1, 0, 2), cut()],
            ["header", delta(0, 0, 2), cut()],
            ["header", delta(0, 0, 7), delta(0, 7, 9), delta(1, 0, 1), texts(0), cut()],
            ["header", delta(1, 0, 3), delta(1, 3, 999), texts(1), "summary"],
        ]
    )
    events = await side.collect(client.sample("digits", 2, text_deltas=True).events())
    assert deltas_of(events) == {0: text_of(0), 1: text_of(1)}
    given_order(events)


async def test_a_delta_with_characters_missing_before_it_is_a_loss(side, client, service):
    service.streams.append(["header", delta(0, 3, 5)])
    service.streams.append(["header", delta(0, 0, 5), texts(0), "summary"])
    stream = client.sample("digits", 1, text_deltas=True)
    assert deltas_of(await side.collect(stream.events())) == {0: text_of(0)}
    assert stream.summary.resume_count == 1


async def test_parts_of_samples_that_were_not_asked_for_are_a_loss(side, client, service):
    service.streams.extend([["header", delta(5, 0, 2)], ["header", preview(5, 2)], [delta(0, 0, 2)]])
    service.streams.append(["header", texts(0), "summary"])
    stream = client.sample("digits", 1)
    assert await side.collect(stream.events())
    assert stream.summary.resume_count == 3


async def test_text_on_its_way_comes_from_several_replicas_at_once(side, another_service):
    def steps_of(request):
        steps = ["header"]
        for index in range(request.first_index, request.first_index + request.sample_count):
            length = len(text_of(index))
            steps += [delta(index, start, min(start + 5, length)) for start in range(0, length, 5)]
            steps.append(texts(index))
        return [*steps, "summary"]

    def cut_once(service):
        # The first stream of a replica ends within a sample.
        def steps(request):
            return steps_of(request)[: 5 if len(service.requests["Sample"]) == 1 else None]

        return steps

    replicas = [another_service() for _ in range(3)]
    for replica in replicas:
        replica.service._whole = cut_once(replica.service)
    client = side.client(
        [replica.target for replica in replicas],
        clock=gc_client.Clock(),
        retry=gc_client.RetryPolicy(initial_backoff_s=0.01),
        limits=gc_client.Limits(part_rows=2),
    )
    stream = client.sample("digits", 30, text_deltas=True)
    events = await side.collect(stream.events())
    assert stream.summary.resume_count >= 1
    chunks = [event for event in events if isinstance(event, gc_client.SampleChunk)]
    assert [int(index) for chunk in chunks for index in chunk.indexes] == list(range(30))
    assert deltas_of(events) == {index: text_of(index) for index in range(30)}
    given_order(events)


async def test_previews_are_read_as_samples_are(side, client, service):
    service.streams.append(["header", preview(1, 5, 2.0), preview(0, 5, form="png"), (0, 2), "summary"])
    events = await side.collect(client.sample("digits", 2, preview_steps=5).events())
    first, second, chunk = events
    assert (first.index, first.step, len(first)) == (1, 5, 1)
    assert first.to_numpy().tolist() == [[2.0, 2.0, 2.0]]
    assert (second.index, second.files(), second.media_type) == (0, [b"preview"], "image/png")
    assert second.header == chunk.header
    assert chunk.indexes.tolist() == [0, 1]


async def test_previews_of_steps_that_were_passed_are_left_out_after_a_cut(side, client, service, cut):
    service.streams.append(["header", preview(0, 5), preview(0, 10), (1, 2), cut()])
    service.streams.append(["header", preview(0, 5), preview(0, 15), (0, 1), preview(0, 20), "summary"])
    events = await side.collect(client.sample("digits", 2, preview_steps=5, order="as_ready").events())
    steps = [event.step for event in events if isinstance(event, gc_client.SamplePreview)]
    assert steps == [5, 10, 15]


async def test_leaving_the_events_early_ends_the_stream(side, client, service):
    service.streams.append(["header", delta(0, 0, 2), "hang"])
    stream = client.sample("digits", 2, text_deltas=True)
    events = stream.events()
    if side.kind == "sync":
        assert next(events).text == text_of(0)[:2]
        events.close()
    else:
        assert (await anext(events)).text == text_of(0)[:2]
        await events.aclose()
    with pytest.raises(gc_client.CancelledError):
        await side.call(stream.read())


async def test_samples_come_as_they_are_done_and_a_cut_asks_for_each_range_that_is_missing(side, client, service, cut):
    def scattered(*ranges):
        return lambda request: service.chunk(request, *ranges)

    service.streams.append(["header", scattered((4, 6), (1, 2)), scattered((8, 9)), cut()])
    stream = client.sample("digits", 10, order="as_ready", seed=7)
    first = await side.call(stream.read())
    assert first.indexes.tolist() == [4, 5, 1]
    assert first.to_numpy()[:, 0].tolist() == [4, 5, 1]
    rest = await side.call(stream.all())
    assert rest.indexes.tolist() == [0, 2, 3, 6, 7, 8, 9]
    assert rest.to_numpy()[:, 0].tolist() == rest.indexes.tolist()
    assert [(request.first_index, request.sample_count) for request in service.requests["Sample"]] == [
        (0, 10),
        (0, 1),
        (2, 2),
        (6, 2),
        (9, 1),
    ]
    assert stream.summary.sample_count == 10
    assert stream.summary.resume_count == 1


async def test_what_comes_twice_as_it_is_ready_is_given_out_once(side, client, service):
    again = [lambda request: service.chunk(request, (3, 5)), lambda request: service.chunk(request, (1, 2), (4, 6))]
    service.streams.append(["header", *again, (0, 6), "summary"])
    chunks = await side.collect(client.sample("digits", 6, order="as_ready", output="image/png"))
    assert [chunk.indexes.tolist() for chunk in chunks] == [[3, 4], [1, 5], [0, 2]]
    assert [chunk.files() for chunk in chunks][1] == [b"file 1", b"file 5"]


pieces = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 7)), max_size=40)


@settings(deadline=None)
@given(streams=st.lists(pieces, max_size=5))
def test_deltas_put_together_are_the_text_however_it_is_drawn_again(streams):
    header = None
    glimpses = Glimpses(text_deltas=True)
    together = dict.fromkeys(range(3), "")

    def take():
        while (found := glimpses.take()) is not None:
            assert found.character_offset == len(together[found.index])
            together[found.index] += found.text

    for stream in streams:
        at = dict.fromkeys(range(3), 0)
        for place, (index, length) in enumerate(stream):
            glimpses.add_delta(TextDelta(index, at[index], text_of(index)[at[index] : at[index] + length]))
            at[index] = min(len(text_of(index)), at[index] + length)
            if place % 3 == 0:
                take()
    for index in range(3):
        glimpses.complete(SampleChunk(np.array([index]), [text_of(index)], header))
    take()
    assert together == {index: text_of(index) for index in range(3)}


def test_a_slow_reader_gets_longer_pieces_and_the_last_preview():
    glimpses = Glimpses(text_deltas=True)
    for start in range(0, 12, 3):
        glimpses.add_delta(TextDelta(0, start, text_of(0)[start : start + 3]))
    for step in (5, 10, 15):
        indexes = np.array([1])
        glimpses.add_preview(gc_client.SamplePreview(indexes, np.zeros((1, 2)), None, step=step))
    assert glimpses.take() == TextDelta(0, 0, text_of(0)[:12])
    assert glimpses.take().step == 15
    assert glimpses.take() is None
