"""A clock and a replica whose strings the test holds."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from genservice.engine.call import Batch, Results, RowDone, RowEvent, Slice
from genservice.engine.verbs import VERBS
from genservice.engine.worker import StepListener


@dataclass(order=True)
class _PuppetTimer:
    when: float
    number: int
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class PuppetClock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[_PuppetTimer] = []
        self._numbers = count()

    def now(self) -> float:
        """Seconds that the test has let pass."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> _PuppetTimer:
        """Calls back when the test moves the clock to that time."""
        timer = _PuppetTimer(when, next(self._numbers), callback)
        heapq.heappush(self._timers, timer)
        return timer

    async def advance(self, seconds: float) -> None:
        """Lets time pass, with everything that is due on the way, and lets the event loop come to rest."""
        until = self._now + seconds
        while self._timers and self._timers[0].when <= until:
            timer = heapq.heappop(self._timers)
            self._now = max(self._now, timer.when)
            if not timer.cancelled:
                timer.callback()
        self._now = until
        await settle()


class PuppetReplica:
    """A replica that keeps each batch until the test finishes it, and each drawn row until the test ends it.

    The results of row i of a call are `first_index + i`, so that a test sees whose rows it got.

    Attributes:
        batches: Every batch that was given to it, in order.
        draws: Slices that are drawn in slots, and where their events go.
        on_step: Is told of steps; nothing tells it here.
    """

    numerics = "puppet"
    answer_row_bytes: Mapping[str, int] = {}

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.draws: dict[Slice, asyncio.Queue[RowEvent | Exception]] = {}
        self.on_step: StepListener = lambda step: None
        self._waiting: list[asyncio.Future[None]] = []

    async def warm_up(self) -> None:
        """Does nothing."""

    async def unload(self) -> None:
        """Does nothing."""

    async def run(self, batch: Batch) -> Sequence[Results]:
        """Waits until the test finishes the batch."""
        self.batches.append(batch)
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(finished)
        await finished
        return [
            {VERBS[piece.call.verb].outputs[0]: np.arange(piece.start, piece.stop) + piece.call.first_index}
            for piece in batch
        ]

    async def draw(self, piece: Slice) -> AsyncGenerator[RowEvent, None]:
        """Gives what the test tells."""
        events = self.draws[piece] = asyncio.Queue()
        left = len(piece)
        try:
            while left:
                event = await events.get()
                if isinstance(event, Exception):
                    raise event
                left -= isinstance(event, RowDone)
                yield event
        finally:
            del self.draws[piece]

    async def tell(self, *events: RowEvent | Exception, draw: int = 0) -> None:
        """Tells what happens to the rows of a draw, counted from the oldest, and lets the event loop come to rest."""
        queue = list(self.draws.values())[draw]
        for event in events:
            queue.put_nowait(event)
        await settle()

    async def done(self, *rows: int, draw: int = 0) -> None:
        """Ends rows of a draw."""
        piece = list(self.draws)[draw]
        results = [RowDone(row, {"samples": np.array([row + piece.call.first_index])}) for row in rows]
        await self.tell(*results, draw=draw)

    async def finish(self, error: Exception | None = None) -> None:
        """Finishes the oldest batch, or makes it fail, and lets the event loop come to rest."""
        finished = self._waiting.pop(0)
        if error is None:
            finished.set_result(None)
        else:
            finished.set_exception(error)
        await settle()

    @property
    def running(self) -> int:
        """Batches given and not finished."""
        return len(self._waiting)


async def settle() -> None:
    """Lets everything that can happen now happen."""
    for _ in range(20):
        await asyncio.sleep(0)
