"""Parts of a draw: whatever readers do, each sample comes once, in order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genservice.v1 import generation_pb2, types_pb2
from genservice_client.draw import Draw
from genservice_client.parts import Parts
from genservice_client.row_values import Conditions

ROW_BYTES = 8


def draw_of(sample_count, first_index=0, order=generation_pb2.SAMPLE_ORDER_UNSPECIFIED):
    request = generation_pb2.SampleRequest(
        model="models/x", seed=1, first_index=first_index, sample_count=sample_count, order=order
    )
    return Draw(request, Conditions({}, sample_count), max_request_bytes=1)


def header():
    header = generation_pb2.SampleHeader(model="models/x/versions/1", content_hash="h", seed=1)
    return generation_pb2.SampleResponse(header=header)


def chunk(start, end):
    rows = np.arange(start, end, dtype="<i8")
    tensor = types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_INT64, shape=[end - start], data=rows.tobytes())
    message = generation_pb2.SampleChunk(indexes=[types_pb2.IndexRange(start=start, end=end)], tensor=tensor)
    return generation_pb2.SampleResponse(chunk=message)


class Reader:
    """Takes parts and reads them as far as it is told; `at` is where its stream is."""

    def __init__(self, name, draw, parts):
        self.name, self.draw, self.parts = name, draw, parts
        self.asked, self.at = None, 0

    def take(self, now, readers=3):
        part = self.parts.take(self.name, now, readers=readers)
        if part is not None:
            self.asked = self.draw.ask(*part)
            self.parts.shorten(self.name, self.asked.end)
            self.at = self.asked.start
            self.asked.receive(header())
        return part

    def read(self, rows):
        end = min(self.at + rows, self.asked.end)
        self.asked.receive(chunk(self.at, end))
        self.at = end

    def leave(self, now):
        self.asked = None
        self.parts.release(self.name, now)


def given_out(draw):
    rows = []
    while (piece := draw.take()) is not None:
        assert piece.to_numpy().tolist() == piece.indexes.tolist()
        rows.extend(piece.indexes.tolist())
    return rows


steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["read", "read", "read", "fail", "wait"]), st.integers(1, 30)),
    max_size=120,
)


@pytest.mark.parametrize("order", [generation_pb2.SAMPLE_ORDER_UNSPECIFIED, generation_pb2.SAMPLE_ORDER_AS_READY])
@settings(deadline=None)
@given(
    sample_count=st.integers(1, 120),
    first_index=st.integers(0, 2**40),
    part_rows=st.integers(1, 20),
    read_ahead_rows=st.integers(1, 100),
    slow_consumer=st.booleans(),
    steps=steps,
)
def test_however_replicas_fail_and_come_back_each_sample_is_given_out_once_in_order(
    order, sample_count, first_index, part_rows, read_ahead_rows, slow_consumer, steps
):
    draw = draw_of(sample_count, first_index, order)
    parts = Parts(draw, part_rows=part_rows, read_ahead_bytes=read_ahead_rows * ROW_BYTES)
    readers = [Reader(name, draw, parts) for name in range(3)]
    given, now, turn = [], 0.0, 0

    def step(reader, action, rows):
        nonlocal now
        now += rows / 10
        if reader.asked is not None and (parts.done(reader.name) or action == "fail"):
            reader.leave(now)
        if action == "wait" or (reader.asked is None and reader.take(now) is None):
            return
        may_read = parts.may_read(reader.name)
        if may_read:
            # So what is held is bounded, but for a chunk a reader and for the samples that are needed first.
            reader.read(rows)
        elif may_read is False:
            reader.leave(now)

    for name, action, rows in steps:
        step(readers[name], action, rows)
        if not slow_consumer:
            given += given_out(draw)
    while not draw.complete or draw.ready:
        given += given_out(draw)
        step(readers[turn % 3], "read", 7)
        turn += 1
        assert turn < 10_000
    given += given_out(draw)
    if order == generation_pb2.SAMPLE_ORDER_AS_READY:
        given.sort()
    assert given == list(range(first_index, first_index + sample_count))
    assert draw.held_bytes == 0


def test_long_draws_have_large_parts_at_first_and_small_ones_at_the_end():
    draw = draw_of(1000)
    parts = Parts(draw, part_rows=16, read_ahead_bytes=2**20)
    reader = Reader("a", draw, parts)
    lengths = []
    while (part := reader.take(0.0, readers=2)) is not None:
        lengths.append(part[1] - part[0])
        reader.read(1000)
        reader.leave(0.0)
        given_out(draw)
    assert lengths[0] == 125
    assert lengths == sorted(lengths, reverse=True)
    assert set(lengths[-3:-1]) == {16}
    assert sum(lengths) == 1000


def test_readers_go_only_so_far_ahead_of_what_is_given_out():
    draw = draw_of(10_000)
    parts = Parts(draw, part_rows=1, read_ahead_bytes=2**30)
    first, second = Reader("a", draw, parts), Reader("b", draw, parts)
    first.take(0.0, readers=2)
    while second.take(0.0, readers=2) is not None:
        second.read(1000)
        second.leave(1.0)
    ahead = draw.received_count
    assert 8 <= ahead <= 80
    first.read(1000)
    first.leave(0.0)
    assert len(given_out(draw)) > ahead
    assert second.take(0.0, readers=2) is not None


def test_readers_stop_while_many_bytes_wait_but_for_the_samples_needed_first():
    draw = draw_of(60)
    parts = Parts(draw, part_rows=20, read_ahead_bytes=5 * ROW_BYTES)
    first, second = Reader("a", draw, parts), Reader("b", draw, parts)
    first.take(0.0)
    second.take(0.0)
    second.read(10)
    assert parts.may_read("b") is None
    assert parts.may_read("a") is True
    first.read(2)
    assert parts.may_read("a") is None
    assert given_out(draw) == [0, 1]
    assert parts.may_read("a") is True


def test_where_nobody_reads_the_samples_needed_first_a_reader_gives_its_part_back_for_them():
    draw = draw_of(60)
    parts = Parts(draw, part_rows=20, read_ahead_bytes=5 * ROW_BYTES)
    first, second = Reader("a", draw, parts), Reader("b", draw, parts)
    needed = first.take(0.0)
    second.take(0.0)
    second.read(10)
    first.leave(1.0)
    assert parts.may_read("b") is False
    second.leave(1.0)
    assert second.take(1.0)[0] == needed[0]


def finished_and_slow(draw, parts):
    """A reader that read its part in a second, and one that has read half of its own."""
    slow, fast = Reader("slow", draw, parts), Reader("fast", draw, parts)
    slow.take(0.0, readers=1)
    slow.read(8)
    fast.take(0.0, readers=1)
    fast.read(16)
    fast.leave(1.0)
    return fast, slow


def test_a_free_reader_takes_half_of_what_a_much_slower_one_has_left():
    draw = draw_of(32)
    parts = Parts(draw, part_rows=16, read_ahead_bytes=2**20)
    fast, slow = finished_and_slow(draw, parts)
    assert fast.take(1.5) is None
    assert fast.take(2.0) == (12, 16)
    fast.read(4)
    assert not parts.done("slow")
    slow.read(4)
    assert parts.done("slow")
    assert given_out(draw) == list(range(32))


def test_the_last_sample_of_a_reader_that_hangs_is_read_twice_and_given_out_once():
    draw = draw_of(32)
    parts = Parts(draw, part_rows=16, read_ahead_bytes=2**20)
    fast, slow = finished_and_slow(draw, parts)
    taken = []
    while not draw.complete:
        taken.append(fast.take(1000.0))
        fast.read(16)
        fast.leave(1000.0)
    assert taken == [(12, 16), (10, 12), (9, 10), (8, 9)]
    assert parts.done("slow")
    slow.read(8)
    assert given_out(draw) == list(range(32))
