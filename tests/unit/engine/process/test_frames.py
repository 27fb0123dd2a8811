"""Channels over a real socket pair."""

import asyncio
import socket

import numpy as np
import pytest

from genservice.engine.process.frames import HIGH_WATER_BYTES, MAX_FRAME_BYTES, Channel


class Ends:
    def __init__(self, until):
        self._until = until
        left, right = socket.socketpair()
        self.raw = right
        self.heard = []
        self.told_closed = 0
        self.sender = Channel(left, bytes, lambda *_: None, self._closed)
        self.receiver = None

    def listen(self):
        self.receiver = Channel(self.raw, bytes, self._hear, self._closed)

    def _closed(self):
        self.told_closed += 1

    def _hear(self, message, blocks):
        self.heard.append((message, [block.tobytes() for block in blocks]))

    async def until(self, count):
        await self._until(lambda: len(self.heard) >= count)


@pytest.fixture
async def ends(until):
    ends = Ends(until)
    yield ends
    ends.sender.close()
    if ends.receiver is not None:
        ends.receiver.close()
    ends.raw.close()


def payload(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8).tobytes()


async def test_messages_arrive_in_order_with_their_blocks(ends):
    ends.listen()
    for number in range(300):
        block = payload(number, number)
        ends.sender.send(b"%d" % number, [memoryview(block)] if block else [], [number] if block else [])
    await ends.until(300)
    assert [message for message, _ in ends.heard] == [b"%d" % number for number in range(300)]
    assert all(blocks == ([payload(n, n)] if n else []) for n, (_, blocks) in enumerate(ends.heard))
    assert ends.sender.pending_bytes == 0


@pytest.mark.parametrize("count", [MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, 5 * MAX_FRAME_BYTES + 12345])
async def test_what_is_bigger_than_a_frame_is_cut_and_joined_again(ends, count):
    ends.listen()
    block = payload(count)
    ends.sender.send(b"big", [memoryview(block)[:777], memoryview(block)[777:]], [1000, count - 1000])
    ends.sender.send(b"next")
    await ends.until(2)
    assert ends.heard == [(b"big", [block[:1000], block[1000:]]), (b"next", [])]
    assert ends.sender.pending_bytes == 0


async def test_no_frame_is_bigger_than_it_may_be(ends):
    ends.sender.send(b"big", [payload(3 * MAX_FRAME_BYTES)], [3 * MAX_FRAME_BYTES])
    sizes = [sum(map(len, frame)) for frame in ends.sender._lanes[0]]
    assert len(sizes) == 3
    assert max(sizes) <= MAX_FRAME_BYTES + 64


async def test_a_small_message_of_another_lane_does_not_wait_for_a_big_one(ends):
    block = payload(8 * MAX_FRAME_BYTES)
    ends.sender.send(b"big", [block], [len(block)], lane=1)
    ends.sender.send(b"small", lane=2)
    ends.listen()
    await ends.until(2)
    assert [message for message, _ in ends.heard] == [b"small", b"big"]


async def test_an_envelope_may_be_longer_than_the_buffer(ends):
    ends.listen()
    envelopes = [payload(count, count) for count in (10, 300_000, 20, 70_000, 65_536, 1)]
    for envelope in envelopes:
        ends.sender.send(envelope, [b"xyz"], [3])
    await ends.until(len(envelopes))
    assert ends.heard == [(envelope, [b"xyz"]) for envelope in envelopes]


async def test_drained_waits_while_the_other_end_does_not_read(ends):
    for _ in range(4):
        ends.sender.send(b"much", [payload(MAX_FRAME_BYTES)], [MAX_FRAME_BYTES])
    drained = asyncio.create_task(ends.sender.drained())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not drained.done()
    ends.listen()
    async with asyncio.timeout(60):
        await drained
    assert ends.sender.pending_bytes <= HIGH_WATER_BYTES
    await ends.until(4)


async def test_drained_ends_when_the_channel_is_closed(ends):
    ends.sender.send(b"much", [payload(4 * MAX_FRAME_BYTES)], [4 * MAX_FRAME_BYTES])
    drained = asyncio.create_task(ends.sender.drained())
    await asyncio.sleep(0)
    assert not drained.done()
    ends.sender.close()
    async with asyncio.timeout(60):
        await drained


async def test_the_end_of_the_other_end_is_told_once(ends, until):
    ends.raw.close()
    await until(lambda: ends.told_closed)
    ends.sender.send(b"lost")
    ends.sender.flush()
    assert ends.told_closed == 1


async def test_what_arrived_before_the_end_can_be_read(ends):
    ends.listen()
    for number in range(3):
        ends.sender.send(b"%d" % number, [payload(10_000)], [10_000])
    ends.sender.flush()
    ends.sender.close()
    ends.receiver.read_rest()
    assert [message for message, _ in ends.heard] == [b"0", b"1", b"2"]


async def test_what_arrived_can_be_read_though_nothing_can_be_sent_any_more(ends, until):
    ends.raw.sendall(b"\x02\0\0\0" + bytes(12) + b"hi")
    heard = []
    ends.sender._on_message = lambda message, blocks: heard.append(message)
    ends.raw.shutdown(socket.SHUT_RD)
    ends.sender.send(b"lost")
    ends.sender.flush()
    assert ends.sender.pending_bytes == 0
    await until(lambda: heard)
    assert heard == [b"hi"]


async def test_a_message_that_cannot_be_read_closes_the_channel(ends, until):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def decode(envelope):
        raise ValueError("bad")

    ends.receiver = Channel(ends.raw, decode, lambda *_: None, ends._closed)
    ends.sender.send(b"bad")
    ends.sender.send(b"more")
    await until(lambda: ends.told_closed == 2)
    assert [str(error) for error in told] == ["bad"]


async def test_a_message_that_cannot_be_handled_leaves_the_next_ones_alone(ends):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def hear(message, blocks):
        if message == b"bad":
            raise ValueError("bad")
        ends.heard.append((message, blocks))

    ends.receiver = Channel(ends.raw, bytes, hear, lambda: None)
    ends.sender.send(b"bad")
    ends.sender.send(b"good")
    await ends.until(1)
    assert [str(error) for error in told] == ["bad"]
