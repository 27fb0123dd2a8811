"""A worker in a thread of this process: for tests, the demo and notebooks; and what a worker process is made of."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from typing import Any, TypeVar

from genservice.engine.call import Batch, Output, Results, RowDone, RowEvent, RowPreview, Slice, moved
from genservice.engine.images import decoded, has_files
from genservice.engine.runtime import Runtime
from genservice.engine.settings import EngineSettings
from genservice.engine.slots import Slots
from genservice.engine.worker import LoadRequest, StepListener
from genservice.errors import GenserviceError, InvalidRequest

_WARM = object()
_SLOWNESS_KEPT = 0.9
"""So much of a slow call's time is remembered a call later: one quick call does not make the next a quick one."""
_T = TypeVar("_T")


class ModelThread:
    """The one thread that calls models, and what it is doing now.

    Where nothing is under way in it, the event loop's thread may do the same in its place.

    Attributes:
        busy: Kind of the call that runs, such as `step`, and when it began on `time.monotonic`; None between calls.
        calls: Calls that have ended.
    """

    def __init__(self) -> None:
        self.busy: tuple[str, float] | None = None
        self.calls = 0
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._under_way: set[Future[Any]] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    async def call(self, kind: str, function: Callable[[], _T]) -> _T:
        """Calls in the thread, after what was asked for before."""
        future = self._threads.submit(self.call_here, kind, function)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return await asyncio.wrap_future(future)

    def call_here(self, kind: str, function: Callable[[], _T]) -> _T:
        """Calls in the thread of the caller; from outside of the model thread only while that is idle."""
        self.busy = (kind, time.monotonic())
        try:
            return function()
        except (StopIteration, SystemExit, KeyboardInterrupt) as error:
            # A future cannot hold the first, and the others would end the event loop.
            raise RuntimeError(f"The model's code raised {error!r}.") from error
        finally:
            self.busy = None
            self.calls += 1

    def close(self) -> None:
        """Ends the thread when the call that runs is done, without waiting for it: it may hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class InlineWorker:
    """Runs models in a thread of this process.

    TensorFlow calls are made one at a time, from one thread; media are encoded in others.

    Args:
        settings: Numbers of threads.
        quick_s: Batches of graphs that have taken less than so many seconds run on the event loop while nothing else
            does: for them the way to another thread and back would be the longer part. 0: none do.
    """

    resident_bytes = 0

    def __init__(self, settings: EngineSettings, quick_s: float = 0) -> None:
        self._settings = settings
        self._quick_s = quick_s
        self.thread = ModelThread()
        self._encoders = ThreadPoolExecutor(settings.encode_threads, thread_name_prefix="encode")
        self.lost: asyncio.Future[str]

    async def start(self) -> None:
        """Nothing has to be started; the thread is lost with the process alone."""
        self.lost = asyncio.get_running_loop().create_future()

    async def load(self, request: LoadRequest) -> "InlineReplica":
        """Reads a version's weights, in the model thread."""
        runtime = Runtime(request.model, request.serving, self._settings.intra_op_threads)
        await self.thread.call("load", lambda: runtime.load(request.directory))
        return InlineReplica(runtime, self.thread, self._encoders, self._quick_s)

    async def close(self) -> None:
        """Ends the threads when the calls that run are done, without waiting for them: one may hang."""
        self.thread.close()
        self._encoders.shutdown(wait=False, cancel_futures=True)


def inline_workers(settings: EngineSettings) -> dict[str, Callable[[], InlineWorker]]:
    """What makes one worker in this process, for an engine."""
    return {"inline": lambda: InlineWorker(settings)}


class InlineReplica:
    """A version in an `InlineWorker`.

    Attributes:
        on_step: Is told of each step of an iterative model.
    """

    def __init__(self, runtime: Runtime, thread: ModelThread, encoders: ThreadPoolExecutor, quick_s: float = 0) -> None:
        self._runtime = runtime
        self._thread = thread
        self._encoders = encoders
        # What is no graph may do anything, such as start an event loop of its own.
        self._quick_s = quick_s if runtime.model.traced else 0
        self._run_s: dict[tuple[str, int], float] = {}
        self._draws: dict[object, _Draw] = {}
        self._driver: asyncio.Task[None] | None = None
        self.on_step: StepListener = lambda step: None

    @property
    def numerics(self) -> str:
        """Fingerprint of what the bits of its results depend on."""
        return self._runtime.numerics

    @property
    def answer_row_bytes(self) -> Mapping[str, int]:
        """Bytes of one row of each verb's result; known once it is warm."""
        return self._runtime.answer_row_bytes

    async def warm_up(self) -> None:
        """Runs every batch size once, and checks the model's promises; batches of other models run in between."""
        steps = self._runtime.warm_up()
        while await self._thread.call("warm_up", lambda: next(steps, _WARM)) is not _WARM:
            pass

    async def run(self, batch: Batch) -> Sequence[Results | GenserviceError]:
        """Runs a batch, then gives samples the form that each request asked for."""
        pieces = await self._decoded(batch)
        good = [piece for piece in pieces if isinstance(piece, Slice)]
        results = await self._ran(good) if good else ()
        if batch[0].call.verb == "sample":
            results = await asyncio.gather(
                *(self._formed(piece.call.output, rows) for piece, rows in zip(good, results, strict=True))
            )
        each = iter(results)
        return [next(each) if isinstance(piece, Slice) else piece for piece in pieces]

    async def draw(self, piece: Slice) -> AsyncGenerator[RowEvent, None]:
        """Draws the rows of a slice in slots; between two steps rows join and leave, and batches of others run."""
        slots = self._runtime.slots
        (decoded_piece,) = await self._decoded([piece])
        if isinstance(decoded_piece, GenserviceError):
            raise decoded_piece
        moved_rows, piece = piece.start - decoded_piece.start, decoded_piece
        draw = _Draw()
        self._draws[draw] = draw
        slots.add(piece, draw)
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive(slots))
        left = len(piece)
        try:
            while left:
                event = await draw.next()
                if isinstance(event, RowDone):
                    left -= 1
                    event = RowDone(event.row, await self._formed(piece.call.output, event.results))
                elif isinstance(event, RowPreview):
                    event = RowPreview(event.row, event.step, await self._formed(piece.call.output, event.results))
                yield moved(event, moved_rows)
        finally:
            del self._draws[draw]
            slots.remove(draw)

    async def unload(self) -> None:
        """Drops the model; what TensorFlow has taken from the system it keeps."""
        await self._thread.call("unload", self._runtime.unload)

    async def _drive(self, slots: Slots) -> None:
        """Steps while there are rows."""
        while slots.busy:
            try:
                step = await self._thread.call("step", slots.turn)
            except Exception as error:  # noqa: BLE001 - the model's code may raise anything
                for draw in slots.clear():
                    self._draws[draw].fail(error)
                continue
            for draw, event in step.events:
                if draw in self._draws:
                    self._draws[draw].put(event)
            if step.ran is not None:
                self.on_step(step.ran)
            # What has come meanwhile joins the next step.
            await asyncio.sleep(0)

    async def _ran(self, batch: Batch) -> Sequence[Results]:
        """What a batch gives: in the model thread or, where it is a matter of less than a switch of threads, here."""
        key = (batch[0].call.verb, self._runtime.size_of(batch))

        def run() -> Sequence[Results]:
            started = time.perf_counter()
            try:
                return self._runtime.run(batch)
            finally:
                self._run_s[key] = max(time.perf_counter() - started, _SLOWNESS_KEPT * self._run_s.get(key, 0))

        if self._run_s.get(key, inf) < self._quick_s and self._thread.idle:
            return self._thread.call_here("run", run)
        return await self._thread.call("run", run)

    async def _decoded(self, batch: Batch) -> Sequence[Slice | InvalidRequest]:
        """The batch with arrays in place of image files; those are decoded in the threads that encode."""
        if not any(has_files(piece.call) for piece in batch):
            return batch
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoders, decoded, self._runtime.model, batch)

    async def _formed(self, output: Output, results: Results) -> Results:
        if not (output.media_type or output.dtype == "uint8"):
            return results
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoders, self._runtime.form, output, results)


class _Draw:
    """What has happened to the rows of a slice, and is not told yet."""

    def __init__(self) -> None:
        self._events: deque[RowEvent] = deque()
        self._error: Exception | None = None
        self._wake = asyncio.Event()

    def put(self, event: RowEvent) -> None:
        self._events.append(event)
        self._wake.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake.set()

    async def next(self) -> RowEvent:
        while not self._events:
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()
