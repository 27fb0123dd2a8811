"""Messages with raw bytes after them, over a stream socket, in frames of about 1 MiB at most.

A frame is a head, the sizes of the message's blocks, the envelope, and bytes of the blocks. What does not fit goes on
in frames without an envelope. The frames of one lane stay in order; lanes take turns, so that a big message delays
others by a frame.

Written on bare sockets rather than on asyncio's transports: those of Python 3.11 copy what they cannot send at once,
and `sendmsg` takes the rows of a batch from where they lie.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from struct import Struct, pack, unpack_from
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview
"""Bytes to send; a memoryview is of format `B`."""

Block = NDArray[np.uint8]
"""Bytes that were received, as one piece of memory."""

Message = TypeVar("Message")

MAX_FRAME_BYTES = 1 << 20
HIGH_WATER_BYTES = 2 << 20
"""Bytes that wait to be sent, above which `drained` waits."""
_TURN_BYTES = 4 << 20  # moved in one turn of the loop, at most
_BUFFER_BYTES = 1 << 16
_MOST_BUFFERS = 512  # of one system call; Linux takes 1024
_HEAD = Struct("<IIII")  # bytes of the envelope; bytes of the payload in this frame; lane; blocks of the message


class _Incoming(Generic[Message]):
    """A message whose blocks are being filled."""

    def __init__(self, message: Message, sizes: Sequence[int]) -> None:
        self.message = message
        self.blocks: list[Block] = [np.empty(block_bytes, np.uint8) for block_bytes in sizes]
        self._index = 0
        self._filled = 0

    @property
    def complete(self) -> bool:
        """Whether every block is full."""
        return self._index == len(self.blocks)

    def room(self, most: int) -> memoryview:
        """Where the next bytes belong; at most so many."""
        return self.blocks[self._index].data[self._filled : self._filled + most]

    def advance(self, count: int) -> None:
        """Counts bytes that were written into the room."""
        self._filled += count
        if self._filled == self.blocks[self._index].nbytes:
            self._index, self._filled = self._index + 1, 0


class Channel(Generic[Message]):
    """One end of a socket pair.

    Args:
        sock: A connected stream socket; the channel owns it.
        decode: Makes a message of an envelope.
        on_message: Gets each message, and its blocks.
        on_closed: Told once when the other end is gone; not where `close` was called.
    """

    def __init__(
        self,
        sock: socket.socket,
        decode: Callable[[memoryview], Message],
        on_message: Callable[[Message, Sequence[Block]], None],
        on_closed: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decode = decode
        self._on_message = on_message
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._broken = False
        self.pending_bytes = 0
        """Bytes that wait to be sent."""
        self._lanes: dict[int, deque[list[Buffer]]] = {}  # the first one's turn is next
        self._committed: deque[Buffer] = deque()
        self._committed_bytes = 0
        self._flushing = False
        self._writing = False
        self._drain_waiters: list[asyncio.Future[None]] = []
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0
        self._current: _Incoming[Message] | None = None
        self._current_lane = 0
        self._frame_left = 0
        self._partial: dict[int, _Incoming[Message]] = {}
        self._loop.add_reader(sock, self._readable)

    def send(
        self, envelope: bytes, buffers: Sequence[Buffer] = (), blocks: Sequence[int] = (), *, lane: int = 0
    ) -> None:
        """Sends a message with all others of this turn of the loop.

        Args:
            envelope: The message; not empty.
            buffers: What the blocks consist of; none is empty, and none may change until it is sent.
            blocks: Size of each block; together as many bytes as the buffers.
            lane: Messages of one lane arrive in order.
        """
        if self._closed or self._broken:
            return
        frames = self._lanes.get(lane)
        if frames is None:
            frames = self._lanes[lane] = deque()
        sizes = pack(f"<{len(blocks)}Q", *blocks) if blocks else b""
        payload_bytes = sum(blocks)
        if payload_bytes <= MAX_FRAME_BYTES:
            front = b"".join((_HEAD.pack(len(envelope), payload_bytes, lane, len(blocks)), sizes, envelope))
            frames.append([front, *buffers])
            self.pending_bytes += len(front) + payload_bytes
        else:
            for part in _cut(buffers):
                part_bytes = sum(map(len, part))
                front = b"".join((_HEAD.pack(len(envelope), part_bytes, lane, len(sizes) // 8), sizes, envelope))
                frames.append([front, *part])
                self.pending_bytes += len(front) + part_bytes
                envelope, sizes = b"", b""
        if not (self._flushing or self._writing):
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def drained(self) -> None:
        """Waits until no more than `HIGH_WATER_BYTES` wait to be sent, or the channel is closed."""
        while self.pending_bytes > HIGH_WATER_BYTES and not self._closed:
            waiter = self._loop.create_future()
            self._drain_waiters.append(waiter)
            await waiter

    def flush(self) -> None:
        """Sends what can be sent now."""
        if not self._closed:
            self._flush()

    def read_rest(self) -> None:
        """Takes in what has arrived, when the other end is known to be gone."""
        while not self._closed and self._receive()[0]:
            pass

    def close(self) -> None:
        """Closes the socket; what waits is dropped."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        if self._writing:
            self._loop.remove_writer(self._sock)
        self._sock.close()
        self._drop_outgoing()
        self._partial.clear()
        self._current = None
        self._wake()

    def _wake(self) -> None:
        waiters, self._drain_waiters = self._drain_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _hang_up(self) -> None:
        self.close()
        self._on_closed()

    def _break(self) -> None:
        """Nothing can be sent any more; what the other end has sent before can still be read."""
        self._broken = True
        self._drop_outgoing()
        self._set_writing(False)
        self._wake()

    def _drop_outgoing(self) -> None:
        self._lanes.clear()
        self._committed.clear()
        self.pending_bytes = self._committed_bytes = 0

    def _flush(self) -> None:
        self._flushing = False
        budget = _TURN_BYTES
        while budget > 0 and not (self._closed or self._broken):
            self._commit()
            if not self._committed:
                self.pending_bytes = 0
                self._set_writing(False)
                self._wake()
                return
            try:
                sent = self._sock.sendmsg(list(islice(self._committed, _MOST_BUFFERS)))
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._break()
                return
            budget -= sent
            self._sent(sent)
        if not (self._closed or self._broken):
            self._set_writing(True)
            if self.pending_bytes <= HIGH_WATER_BYTES:
                self._wake()

    def _commit(self) -> None:
        """Decides the order of the next frames; lanes take turns."""
        while self._lanes and self._committed_bytes < MAX_FRAME_BYTES:
            lane, frames = next(iter(self._lanes.items()))
            del self._lanes[lane]
            frame = frames.popleft()
            self._committed.extend(frame)
            self._committed_bytes += sum(map(len, frame))
            if frames:
                self._lanes[lane] = frames

    def _sent(self, count: int) -> None:
        self._committed_bytes -= count
        self.pending_bytes -= count
        while count:
            first = self._committed[0]
            if len(first) > count:
                self._committed[0] = memoryview(first)[count:]
                return
            count -= len(first)
            self._committed.popleft()

    def _set_writing(self, writing: bool) -> None:
        if writing is not self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._sock, self._flush)
            else:
                self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        budget = _TURN_BYTES
        while budget > 0 and not self._closed:
            count, wanted = self._receive()
            if count < wanted:  # the socket is empty; if it is not, the loop calls again
                return
            budget -= count

    def _receive(self) -> tuple[int, int]:
        """Reads once; tells how many bytes there were, and for how many there was room."""
        incoming = self._current
        room = incoming.room(self._frame_left) if incoming is not None else self._buffer[self._end :]
        try:
            count = self._sock.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return 0, len(room)
        except OSError:
            count = 0
        if not count:
            self._hang_up()
            return 0, len(room)
        if incoming is None:
            self._end += count
        else:
            self._filled(incoming, count)
        self._parse()
        return count, len(room)

    def _parse(self) -> None:
        while not self._closed:
            have = self._end - self._start
            if self._current is not None:
                if not have:
                    break
                room = self._current.room(min(self._frame_left, have))
                room[:] = self._buffer[self._start : self._start + len(room)]
                self._start += len(room)
                self._filled(self._current, len(room))
            elif not self._begin(have):
                break
        if self._start == self._end:
            self._start = self._end = 0

    def _begin(self, have: int) -> bool:
        """Begins a frame, if its head and envelope are there."""
        needed = _HEAD.size
        if have >= needed:
            envelope_bytes, self._frame_left, lane, count = _HEAD.unpack_from(self._buffer, self._start)
            sizes_at = self._start + _HEAD.size
            envelope_at = sizes_at + 8 * count
            stop = envelope_at + envelope_bytes
            needed = stop - self._start
            if have >= needed:
                if envelope_bytes:
                    try:
                        message = self._decode(self._buffer[envelope_at:stop])
                    except Exception as error:  # noqa: BLE001 - where messages end is not known any more
                        self._report("A message could not be read", error)
                        self._hang_up()
                        return False
                    incoming = _Incoming(message, unpack_from(f"<{count}Q", self._buffer, sizes_at))
                else:
                    incoming = self._partial.pop(lane)
                self._start, self._current, self._current_lane = stop, incoming, lane
                if not self._frame_left:
                    self._end_frame(incoming)
                return True
        self._make_room(needed)
        return False

    def _make_room(self, needed: int) -> None:
        if self._start + needed <= len(self._buffer) and self._end < len(self._buffer):
            return
        rest = self._end - self._start
        target = self._buffer
        if needed > len(target):
            target = memoryview(bytearray(needed))
        elif len(target) > _BUFFER_BYTES >= needed:
            target = memoryview(bytearray(_BUFFER_BYTES))  # the long envelope is over
        target[:rest] = self._buffer[self._start : self._end]
        self._buffer, self._start, self._end = target, 0, rest

    def _filled(self, incoming: _Incoming[Message], count: int) -> None:
        incoming.advance(count)
        self._frame_left -= count
        if not self._frame_left:
            self._end_frame(incoming)

    def _end_frame(self, incoming: _Incoming[Message]) -> None:
        self._current = None
        if not incoming.complete:
            self._partial[self._current_lane] = incoming
            return
        try:
            self._on_message(incoming.message, incoming.blocks)
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
            self._report("A message could not be handled", error)

    def _report(self, message: str, error: Exception) -> None:
        context: dict[str, Any] = {"message": message, "exception": error}
        self._loop.call_exception_handler(context)


def _cut(buffers: Sequence[Buffer]) -> list[list[Buffer]]:
    """Cuts buffers into parts of `MAX_FRAME_BYTES`."""
    parts: list[list[Buffer]] = [[]]
    room = MAX_FRAME_BYTES
    for buffer in buffers:
        view = memoryview(buffer)
        while len(view):
            if not room:
                parts.append([])
                room = MAX_FRAME_BYTES
            parts[-1].append(view[:room])
            taken = min(room, len(view))
            view = view[taken:]
            room -= taken
    return parts
