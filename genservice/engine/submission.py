"""A call on its way through the engine."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from genservice.engine.call import Call, Results, Slice, concatenate
from genservice.errors import DeadlineExceeded, GenserviceError


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
    """

    def __init__(
        self,
        call: Call,
        *,
        window: int,
        wanting: "Callable[[Submission], None]",
        closed: "Callable[[Submission, str], None]",
    ) -> None:
        self.call = call
        self.outcome = ""
        self.granted_rows = 0
        self.taken_rows = 0
        self.queued = False
        self._window = window
        self._read_rows = 0
        self._ready: dict[int, tuple[Slice, Results]] = {}
        self._error: GenserviceError | None = None
        self._wake: asyncio.Future[None] | None = None
        self._grants: deque[tuple[int, float]] = deque()
        self._on_wanting = wanting
        self._on_closed = closed

    @property
    def available_rows(self) -> int:
        """Rows granted and not yet taken."""
        return 0 if self.outcome else self.granted_rows - self.taken_rows

    @property
    def wanted_rows(self) -> int:
        """Rows within the window that are not granted yet."""
        if self.outcome:
            return 0
        return min(self._read_rows + self._window, self.call.row_count) - self.granted_rows

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

    def fail(self, error: GenserviceError) -> None:
        """Ends the submission with an error; rows not yet taken are never computed."""
        if not self.outcome:
            self._error = error
            self._close(error.reason)

    def expire(self) -> None:
        """Ends the submission because its deadline is over."""
        self.fail(DeadlineExceeded("The request's deadline passed before its rows were computed."))

    def cancel(self) -> None:
        """Ends the submission because nobody wants the results any more."""
        if not self.outcome:
            self._close("cancelled")

    async def chunks(self, chunk_rows: int) -> AsyncGenerator[tuple[Slice, Results], None]:
        """Reads the results in the order of the rows; the next rows are computed while the caller has the last.

        Args:
            chunk_rows: Rows in a chunk; the last may have fewer.

        Yields:
            The rows, and their results.

        Raises:
            GenserviceError: The submission failed.
        """
        try:
            while self._read_rows < self.call.row_count:
                start = self._read_rows
                stop = min(start + chunk_rows, self.call.row_count)
                # Not in a variable, which would hold the rows for as long as the caller takes to send them.
                yield Slice(self.call, start, stop), await self._until(stop)
                if self.wanted_rows:
                    self._on_wanting(self)
            self._close("ok")
        finally:
            self.cancel()

    async def results(self) -> Results:
        """Reads all results at once.

        Raises:
            GenserviceError: The submission failed.
        """
        # Read to the end: a generator that is left early ends its submission as cancelled, and later.
        ((_, results),) = [chunk async for chunk in self.chunks(self.call.row_count)]
        return results

    async def _until(self, stop: int) -> Results:
        parts: list[Results] = []
        while self._read_rows < stop:
            parts.append(await self._next(stop))
        return concatenate(parts)

    async def _next(self, stop: int) -> Results:
        """Waits for the next rows, and gives those before `stop`."""
        while self._read_rows not in self._ready:
            if self._error is not None:
                raise self._error
            if self.outcome:
                raise asyncio.CancelledError
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        piece, results = self._ready.pop(self._read_rows)
        self._read_rows = min(piece.stop, stop)
        if piece.stop <= stop:
            return results
        head = stop - piece.start
        self._ready[stop] = (Slice(self.call, stop, piece.stop), {name: rows[head:] for name, rows in results.items()})
        return {name: rows[:head] for name, rows in results.items()}

    def _close(self, outcome: str) -> None:
        self.outcome = outcome
        self._ready.clear()
        self._on_closed(self, outcome)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
