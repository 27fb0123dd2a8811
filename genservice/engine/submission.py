"""A call on its way through the engine."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from genservice.engine.call import Call, Results, RowPreview, RowText, Slice, concatenate
from genservice.engine.flow import Flow
from genservice.errors import DeadlineExceeded, GenserviceError

NO_FLOW = Flow()


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Results of some rows.

    Args:
        ranges: Which rows, counted from the call's first: half-open, in the order of the results.
        parts: Theirs, as they came.
    """

    ranges: tuple[tuple[int, int], ...]
    parts: Sequence[Results]

    @property
    def results(self) -> Results:
        """All results as one."""
        return concatenate(self.parts)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


Event = Chunk | RowPreview | RowText
"""What the reader of a submission gets."""


class Submission:
    """The rows of one call.

    Rows are *granted* as the caller's reading allows, *taken* by batches, *delivered* when computed, and *read* by the
    caller. At most `window` rows are granted ahead of what is read, so a request for a million samples holds a bounded
    number of rows.

    Args:
        call: What is asked.
        window: Most rows granted and not yet read.
        wanting: Told when there are rows to grant; grants them when there is room.
        closed: Told once when the submission ends, with the outcome: `ok`, `cancelled` or an error's reason.
        flow: Whose rows they are.
    """

    def __init__(
        self,
        call: Call,
        *,
        window: int,
        wanting: "Callable[[Submission], None]",
        closed: "Callable[[Submission, str], None]",
        flow: Flow = NO_FLOW,
    ) -> None:
        self.call = call
        self.flow = flow
        self.outcome = ""
        self.granted_rows = 0
        self.taken_rows = 0
        self._window = window
        self._read_rows = 0
        self._ready: dict[int, tuple[Slice, Results]] = {}
        self._under_way = _UnderWay()
        self._error: GenserviceError | None = None
        self._end = call.row_count
        self._parting: GenserviceError | None = None
        self._wake: asyncio.Future[None] | None = None
        self._grants: deque[tuple[int, float]] = deque()
        self._on_wanting = wanting
        self._on_closed = closed

    @property
    def available_rows(self) -> int:
        """Rows granted and not yet taken."""
        return 0 if self.outcome else self.granted_rows - self.taken_rows

    @property
    def read_rows(self) -> int:
        """Rows that the caller has read."""
        return self._read_rows

    @property
    def wanted_rows(self) -> int:
        """Rows within the window that are not granted yet."""
        if self.outcome:
            return 0
        return min(self._read_rows + self._window, self._end) - self.granted_rows

    @property
    def waiting_since(self) -> float:
        """When the first of the available rows was granted; only while there are any."""
        return self._grants[0][1]

    def grant(self, rows: int, now: float) -> None:
        """Makes wanted rows available."""
        self.granted_rows += rows
        self._grants.append((self.granted_rows, now))

    def take(self, rows: int) -> Slice:
        """Takes available rows into a batch."""
        piece = Slice(self.call, self.taken_rows, self.taken_rows + rows)
        self.taken_rows += rows
        while self._grants and self._grants[0][0] <= self.taken_rows:
            self._grants.popleft()
        return piece

    def deliver(self, piece: Slice, results: Results) -> None:
        """Hands in the results of rows; ignored when the submission has ended."""
        if not self.outcome:
            self._ready[piece.start] = (piece, results)
            self._notify()

    def tell(self, event: RowPreview | RowText) -> None:
        """Hands in what can be seen of a row on its way; what the reader is too slow for is joined or left out."""
        if not self.outcome:
            self._under_way.add(event)
            self._notify()

    def fail(self, error: GenserviceError) -> None:
        """Ends the submission with an error; rows not yet taken are never computed."""
        if not self.outcome:
            self._error = error
            self._close(error.reason)

    def end_early(self, error: GenserviceError) -> None:
        """Ends the submission with an error, once the rows that were taken are read; others are never computed."""
        if self._read_rows == self.taken_rows:
            self.fail(error)
        elif not self.outcome:
            self._end = self.granted_rows = self.taken_rows
            self._grants.clear()
            self._parting = error
            self._notify()

    def expire(self) -> None:
        """Ends the submission because its deadline is over."""
        self.fail(DeadlineExceeded("The request's deadline passed before its rows were computed."))

    def finish(self) -> None:
        """Ends the submission because what was read is enough."""
        if not self.outcome:
            self._close("ok")

    def cancel(self) -> None:
        """Ends the submission because nobody wants the results any more."""
        if not self.outcome:
            self._close("cancelled")

    async def events(
        self, chunk_rows: int, *, as_ready: bool = False, whole_chunks: bool = True
    ) -> AsyncGenerator[Event, None]:
        """Reads the results; the next rows are computed while the caller has the last.

        Args:
            chunk_rows: Rows in a chunk; the last may have fewer.
            as_ready: Whether rows may be given before others of lower index.
            whole_chunks: Whether a chunk waits until it is full; else it has what is there.

        Yields:
            Chunks and, where the call asks for them, what can be seen of rows before they are in a chunk.

        Raises:
            GenserviceError: The submission failed.
        """
        try:
            while self._read_rows < self._end:
                await self._anything(chunk_rows, as_ready, whole_chunks)
                while event := self._under_way.take():
                    yield event
                if self._has_chunk(chunk_rows, as_ready, whole_chunks):
                    # Not in a variable, which would hold the rows for as long as the caller takes to send them.
                    yield self._take(chunk_rows, as_ready)
                if self.wanted_rows:
                    self._on_wanting(self)
            if self._parting is not None:
                self.fail(self._parting)
                raise self._parting
            self._close("ok")
        finally:
            self.cancel()

    async def results(self) -> Results:
        """Reads all results at once.

        Raises:
            GenserviceError: The submission failed.
        """
        rows = self.call.row_count
        try:
            await self._anything(rows, False, True)
            chunk = self._take(rows, False)
            self._close("ok")
        finally:
            self.cancel()
        return chunk.results

    async def _anything(self, chunk_rows: int, as_ready: bool, whole_chunks: bool) -> None:
        """Waits until there is something to give."""
        while not (self._under_way or self._has_chunk(chunk_rows, as_ready, whole_chunks)):
            if self._error is not None:
                raise self._error
            if self.outcome:
                raise asyncio.CancelledError
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _has_chunk(self, chunk_rows: int, as_ready: bool, whole_chunks: bool) -> bool:
        if as_ready:
            return bool(self._ready)
        if not whole_chunks:
            return self._read_rows in self._ready
        place, end = self._read_rows, min(self._read_rows + chunk_rows, self._end)
        while place < end and place in self._ready:
            place = self._ready[place][0].stop
        return place >= end

    def _take(self, chunk_rows: int, as_ready: bool) -> Chunk:
        """Takes out the rows of the next chunk."""
        ranges: list[tuple[int, int]] = []
        parts: list[Results] = []
        room = min(chunk_rows, self._end - self._read_rows)
        while room:
            start = next(iter(self._ready), -1) if as_ready else self._read_rows
            if start not in self._ready:
                break
            piece, results = self._ready.pop(start)
            stop = min(piece.stop, start + room)
            if stop < piece.stop:
                rest = {name: rows[room:] for name, rows in results.items()}
                self._ready[stop] = (Slice(self.call, stop, piece.stop), rest)
                results = {name: rows[:room] for name, rows in results.items()}
            parts.append(results)
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], stop)
            else:
                ranges.append((start, stop))
            room -= stop - start
            self._read_rows += stop - start
            self._under_way.forget(start, stop)
        return Chunk(tuple(ranges), parts)

    def _close(self, outcome: str) -> None:
        self.outcome = outcome
        self._ready.clear()
        self._under_way = _UnderWay()
        self._on_closed(self, outcome)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class _UnderWay:
    """Previews and texts that wait for the reader: the last preview of each row, and all of its text in one piece.

    A row that is drawn anew, because its worker died, tells its text again; what was told before is cut off.
    """

    def __init__(self) -> None:
        self.told: dict[int, int] = {}
        """Characters of each row's text that came, by row; 0 where it is previews."""
        self._waiting: dict[tuple[int, type], RowPreview | RowText] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, event: RowPreview | RowText) -> None:
        key = (event.row, type(event))
        if isinstance(event, RowPreview):
            self.told.setdefault(event.row, 0)
            self._waiting[key] = event
            return
        told = self.told.get(event.row, 0)
        fresh = event.text[max(0, told - event.character_offset) :]
        if not fresh:
            return
        self.told[event.row] = told + len(fresh)
        before = self._waiting.get(key)
        if isinstance(before, RowText):
            event = RowText(event.row, before.token_offset, before.character_offset, before.text + fresh)
        else:
            event = RowText(event.row, event.token_offset, told, fresh)
        self._waiting[key] = event

    def take(self) -> RowPreview | RowText | None:
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def forget(self, start: int, stop: int) -> None:
        """Drops what is kept about rows that are in a chunk."""
        for row in range(start, stop) if self.told else ():
            self.told.pop(row, None)
            self._waiting.pop((row, RowPreview), None)
