"""A place for a worker: started when there is something to load, started again when it dies."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from genservice.engine.catalog import Version
from genservice.engine.clock import Clock
from genservice.engine.worker import Replica, Worker

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
PROVEN_S = 60.0
"""A worker that has lived for so long starts again at once when it dies."""

WorkerMaker = Callable[[], Worker]
"""Makes a worker that is not started yet."""


@dataclass(eq=False)
class Seat:
    """A place for a worker, and what is to be served there.

    Args:
        name: For people, such as `CPU:0`.
        make: Makes its workers.
        clock: Time.
        lost: Told when a worker has died by itself, with the reason, once the seat is free.
    """

    name: str
    make: WorkerMaker
    clock: Clock
    lost: "Callable[[Seat, str], None]"
    worker: Worker | None = None
    assigned: set[Version] = field(default_factory=set)
    """Versions that are to be served there, whether its worker lives or not."""
    replicas: dict[Version, Replica] = field(default_factory=dict)
    """Those that its worker has."""
    most_assigned: int = 0
    usual_bytes: int = 0
    """Memory of the worker when it had the most versions."""
    _deaths: int = 0
    _started: float = 0.0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _watches: dict[Worker, asyncio.Task[None]] = field(default_factory=dict)

    async def running(self) -> Worker:
        """The worker; one is started where there is none, after a pause that doubles with each death.

        Raises:
            WorkerLost: It died while it started.
        """
        async with self._one_at_a_time:
            if self.worker is None:
                await self._pause()
                self.worker = await self.started()
            return self.worker

    async def started(self) -> Worker:
        """Starts a worker, for this seat or to follow the one that sits there.

        Raises:
            WorkerLost: It died while it started.
        """
        worker = self.make()
        self._started = self.clock.now()
        try:
            await worker.start()
        except BaseException:
            self._deaths += 1
            await worker.close()
            raise
        self._watches[worker] = asyncio.create_task(self._watch(worker))
        return worker

    def note_growth(self) -> None:
        """Takes the memory as usual, where there were never so many versions."""
        if self.worker is not None and len(self.replicas) > self.most_assigned:
            self.most_assigned = len(self.replicas)
            self.usual_bytes = self.worker.resident_bytes

    @property
    def grown_bytes(self) -> int:
        """Memory that the worker holds beyond what is usual."""
        return self.worker.resident_bytes - self.usual_bytes if self.worker is not None else 0

    async def close(self) -> None:
        """Ends the worker; the next one that is asked for is new."""
        worker, self.worker = self.worker, None
        self.replicas.clear()
        self.most_assigned = 0
        if worker is not None:
            await self.end(worker)

    async def end(self, worker: Worker) -> None:
        """Ends a worker, which may have been followed by another."""
        if watch := self._watches.pop(worker, None):
            watch.cancel()
        await worker.close()

    async def _watch(self, worker: Worker) -> None:
        reason = await worker.lost
        del self._watches[worker]
        if self.worker is not worker:
            return
        self._deaths = 0 if self.clock.now() - self._started > PROVEN_S else self._deaths + 1
        self.worker = None
        await worker.close()
        self.lost(self, reason)

    async def _pause(self) -> None:
        """Waits after deaths, so that a worker which always dies does not keep the machine busy."""
        if not self._deaths:
            return
        seconds = min(FIRST_PAUSE_S * 2 ** (self._deaths - 1), LONGEST_PAUSE_S)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end() -> None:
            if not over.done():
                over.set_result(None)

        timer = self.clock.call_at(self.clock.now() + seconds, end)
        try:
            await over
        finally:
            timer.cancel()
