"""A worker process as the server sees it, from its start to its end, and what is under way in it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

from genservice.engine.call import RowDone, RowEvent, RowPreview, RowText
from genservice.engine.clock import Clock
from genservice.engine.process import messages
from genservice.engine.process.events import EventBuffer
from genservice.engine.process.exits import ExitWatch
from genservice.engine.process.failures import to_error
from genservice.engine.process.frames import Block, Channel
from genservice.engine.process.messages import Beat, Cancel, Order, Report, Shutdown, Start, encode
from genservice.engine.process.output import OnOutput, OutputReader
from genservice.engine.process.rows import Packer, Unpacker
from genservice.engine.process.spawn import ending, spawn
from genservice.engine.process.vigil import Vigil
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import StepRan
from genservice.errors import WorkerLost

SHARED_SETTINGS = {"encode_threads", "gpu_memory_limit_mb", "heartbeat_s", "intra_op_threads"}
"""What a worker process is told of the settings."""
GRACE_S = 1.0
"""Seconds that a process has to end when it is told to, or when it has closed its sockets."""
RETRY_AFTER_S = 1.0
_MOST_LANES = 1 << 32

Answer = tuple[Report, Unpacker]
_Taken = TypeVar("_Taken")


class Link:
    """One worker process. It is started once; when it has ended, so has this.

    What is under way is bounded by those who ask: the batcher has two batches a version at a time, and of iterative
    models as many rows as there are slots, and a few. Nobody hands over more while more than `HIGH_WATER_BYTES` wait to
    be sent.

    Args:
        settings: Goes to the process; has the limits.
        device: Where its models run.
        clock: Time.
        on_output: Gets the lines that the process writes.
    """

    def __init__(self, settings: EngineSettings, device: str, clock: Clock, on_output: OnOutput) -> None:
        self.device = device
        self.on_step: dict[int, Callable[[StepRan], None]] = {}
        """By replica: who is told of its steps."""
        self._clock = clock
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._draws: dict[int, _Draw] = {}
        self._verdict = ""
        self._reason: str | None = None
        self._closing = False
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        spawned = spawn(device)
        self._process = spawned.process
        self.pid = spawned.process.pid
        self._data = Channel(spawned.data, messages.decode_report, self._heard, self._hung_up)
        self._control = Channel(spawned.control, messages.decode_beat, self._beat, self._hung_up)
        self._output = OutputReader(spawned.output, on_output)
        self._vigil = Vigil(self.pid, settings, clock, self._kill)
        self._watch = ExitWatch(self._process, self._exited)
        self._data.send(encode(Start(settings.model_dump(include=SHARED_SETTINGS), device)))

    async def ready(self) -> None:
        """Waits until the process can load.

        Raises:
            WorkerLost: It has ended.
        """
        await asyncio.shield(self._ready)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._reason is not None

    @property
    def resident_bytes(self) -> int:
        """Memory that the process holds; 0 where it has ended, or where that cannot be known."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE") if self._reason is None else 0

    async def room(self) -> int:
        """Waits until more may be sent.

        Returns:
            The number of the next call.

        Raises:
            WorkerLost: The process has ended.
        """
        await self._data.drained()
        if self._reason is not None:
            raise self._error()
        return next(self._numbers)

    async def ask(
        self, call: int, order: Order, expected: type[_Taken], packer: Packer | None = None
    ) -> tuple[_Taken, Unpacker]:
        """Sends an order and waits for its answer; one that nobody waits for any more is dropped when it comes.

        Args:
            call: Its number, from `room`.
            order: The order.
            expected: Class of the answer.
            packer: The rows that belong to it.

        Returns:
            The answer, and what gives the rows that belong to it.

        Raises:
            GenserviceError: As raised in the worker.
            RemoteError: The model's code raised.
            WorkerLost: The process has ended.
        """
        future = self._calls[call] = asyncio.get_running_loop().create_future()
        buffers, blocks = (packer.buffers, packer.blocks) if packer is not None else ((), ())
        self._data.send(encode(order), buffers, blocks, lane=call % _MOST_LANES)
        try:
            report, unpacker = await future
        finally:
            self._calls.pop(call, None)
        if isinstance(report, messages.Failed):
            raise to_error(report.failure)
        assert isinstance(report, expected)
        return report, unpacker

    async def draw(self, call: int, order: messages.Draw, packer: Packer) -> AsyncGenerator[RowEvent, None]:
        """Sends a draw, and yields what comes; rows are counted from the order's first."""
        draw = self._draws[call] = _Draw()
        self._data.send(encode(order), packer.buffers, packer.blocks)
        try:
            while (event := await draw.next()) is not None:
                yield event
        finally:
            if self._draws.pop(call, None) is not None and not draw.ended:
                self._control.send(encode(Cancel(call)))

    async def close(self) -> None:
        """Asks the process to end, and kills it if it does not within `GRACE_S`."""
        self._closing = True
        self._vigil.stop()
        self._control.send(encode(Shutdown()))
        self._control.flush()
        timer = self._clock.call_at(self._clock.now() + GRACE_S, self._process.kill)
        try:
            await asyncio.shield(self._gone)
        finally:
            timer.cancel()
            if not self._gone.done():
                self._process.kill()
                self._exited(self._process.wait())

    def _error(self) -> WorkerLost:
        return WorkerLost(f"The worker of {self.device} is gone: {self._reason}.", retry_after_s=RETRY_AFTER_S)

    def _kill(self, reason: str) -> None:
        if self._reason is None:
            self._verdict = reason
            self._process.kill()

    def _hung_up(self) -> None:
        """A socket was closed: the process ends, or has lost its mind."""
        self._clock.call_at(self._clock.now() + GRACE_S, lambda: self._kill("its socket was closed"))

    def _exited(self, code: int) -> None:
        if self._gone.done():
            return
        self._vigil.stop()
        self._data.read_rest()
        self._control.read_rest()
        self._output.close()
        self._data.close()
        self._control.close()
        self._reason = "it was closed" if self._closing else self._verdict or ending(code, self._output.last_line)
        if not self._closing:
            self.lost.set_result(self._reason)
        if not self._ready.done():
            self._ready.set_exception(self._error())
            self._ready.exception()  # where nobody waits for it, it is no news
        for future in self._calls.values():
            if not future.done():
                future.set_exception(self._error())
        for draw in self._draws.values():
            draw.end(self._error())
        self._gone.set_result(None)

    def _beat(self, beat: Beat, blocks: Sequence[Block]) -> None:
        del blocks
        self._vigil.hear(beat)
        if not self._ready.done():
            self._ready.set_result(None)

    def _heard(self, report: Report, blocks: Sequence[Block]) -> None:
        unpacker = Unpacker(blocks)
        if isinstance(report, messages.Events):
            for event in report.events:
                self._event(event, unpacker)
            return
        future = self._calls.get(report.call)
        if future is not None and not future.done():
            future.set_result((report, unpacker))

    def _event(
        self,
        event: messages.Done | messages.Preview | messages.Text | messages.DrawEnded | messages.Stepped,
        unpacker: Unpacker,
    ) -> None:
        if isinstance(event, messages.Stepped):
            listener = self.on_step.get(event.replica)
            if listener is not None:
                listener(StepRan(event.rows, event.padded_rows, event.run_s))
            return
        told: RowEvent
        if isinstance(event, messages.Text):
            text = event.text.decode("utf-8", "surrogatepass")
            told = RowText(event.row, event.token_offset, event.character_offset, text)
        elif isinstance(event, messages.Done):
            told = RowDone(event.row, unpacker.take_results(event.results))
        elif isinstance(event, messages.Preview):
            told = RowPreview(event.row, event.step, unpacker.take_results(event.results))
        else:
            if event.call in self._draws:
                self._draws[event.call].end(to_error(event.failure) if event.failure is not None else None)
            return
        if event.call in self._draws:
            self._draws[event.call].put(told)


class _Draw:
    """What happened to the rows of a draw, and whether it has ended."""

    def __init__(self) -> None:
        self.ended = False
        self._error: Exception | None = None
        self._events = EventBuffer()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: RowEvent) -> None:
        self._events.put(event)
        self._wake()

    def end(self, error: Exception | None) -> None:
        if not self.ended:
            self.ended, self._error = True, error
            self._wake()

    async def next(self) -> RowEvent | None:
        """The next event; None where there will be none.

        Raises:
            Exception: It has failed, and all events before that were taken.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            if self.ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.take()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
