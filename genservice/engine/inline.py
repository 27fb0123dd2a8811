"""A worker in a thread of this process: for tests, the demo and notebooks; and what a worker process is made of."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from genservice.engine.call import Batch, Output, Results, RowDone, RowEvent, RowPreview, Slice, moved
from genservice.engine.images import decoded, has_files
from genservice.engine.runtime import Runtime
from genservice.engine.settings import EngineSettings
from genservice.engine.slots import Slots
from genservice.engine.worker import LoadRequest, StepListener
from genservice.errors import GenserviceError, InvalidRequest

_WARM = object()
_T = TypeVar("_T")


class ModelThread:
    """The one thread that calls models, and what it is doing now.

    Attributes:
        busy: Kind of the call that runs, such as `step`, and when it began on `time.monotonic`; None between calls.
        calls: Calls that have ended.
    """

    def __init__(self) -> None:
        self.busy: tuple[str, float] | None = None
        self.calls = 0
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def call(self, kind: str, function: Callable[[], _T]) -> _T:
        """Calls in the thread, after what was asked for before."""

        def told() -> _T:
            with self._told(kind):
                try:
                    return function()
                except (StopIteration, SystemExit, KeyboardInterrupt) as error:
                    # A future cannot hold the first, and the others would end the event loop.
                    raise RuntimeError(f"The model's code raised {error!r}.") from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, told)

    def close(self) -> None:
        """Ends the thread when the call that runs is done, without waiting for it: it may hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _told(self, kind: str) -> Iterator[None]:
        self.busy = (kind, time.monotonic())
        try:
            yield
        finally:
            self.busy = None
            self.calls += 1


class InlineWorker:
    """Runs models in a thread of this process.

    TensorFlow calls are made one at a time, from one thread; media are encoded in others.

    Args:
        settings: Numbers of threads.
    """

    resident_bytes = 0

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
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
        return InlineReplica(runtime, self.thread, self._encoders)

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

    def __init__(self, runtime: Runtime, thread: ModelThread, encoders: ThreadPoolExecutor) -> None:
        self._runtime = runtime
        self._thread = thread
        self._encoders = encoders
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
        results = await self._thread.call("run", lambda: self._runtime.run(good)) if good else ()
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
