"""Forms batches for one version, and hands out their results."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence

from genservice.engine.call import Batch, Call, Results, Slice
from genservice.engine.clock import Clock, Timer
from genservice.engine.observer import Observer
from genservice.engine.queue import GroupKey, RowQueue
from genservice.engine.submission import Submission
from genservice.engine.worker import Replica
from genservice.errors import GenserviceError, ModelError, QueueFull
from genservice.model.options import static_names
from genservice.store.manifest import Serving

BATCHES_AHEAD = 1
"""Full batches that a worker holds beside the one it runs."""


class Batcher:
    """Turns the rows of many submissions into batches, for one version.

    An idle worker takes what is there, after `max_queue_delay_ms` at most. A busy worker is given one more batch when
    that is full; else rows go on collecting.

    Args:
        model: Name of the model.
        version: Its version.
        replica: Runs batches.
        serving: Sizes and limits.
        clock: Time.
        observer: Is told what happens.
    """

    def __init__(
        self, model: str, version: int, replica: Replica, serving: Serving, clock: Clock, observer: Observer
    ) -> None:
        self._model, self._version = model, version
        self._replica = replica
        self._serving = serving
        self._clock = clock
        self._observer = observer
        self._queue = RowQueue()
        self._live: set[Submission] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running_rows = 0
        self._pump_scheduled = False
        self._delay: Timer | None = None
        self._wanting: deque[Submission] = deque()
        self._idle = asyncio.Event()
        self._batch_s = 0.0

    @property
    def queued_rows(self) -> int:
        """Rows that wait for a batch."""
        return self._queue.rows

    def submit(
        self, call: Call, *, window: int, deadline: float | None, closed: Callable[[Submission], None]
    ) -> Submission:
        """Admits a call.

        Args:
            call: What is asked.
            window: Most rows computed ahead of the caller's reading.
            deadline: When its time is over, on the clock; None: never.
            closed: Told when it has ended.

        Returns:
            What the caller reads the results from.

        Raises:
            QueueFull: There is no room for the first rows.
        """
        rows = min(call.row_count, window)
        if self._wanting or self._queue.rows + rows > self._serving.max_queue_rows:
            raise QueueFull(
                f"{self._queue.rows} rows wait for {self._model!r} and {rows} more do not fit; "
                f"the limit is {self._serving.max_queue_rows}.",
                metadata={"queued_rows": str(self._queue.rows), "max_queue_rows": str(self._serving.max_queue_rows)},
                retry_after_s=self._queue_s(),
            )
        timer: Timer | None = None

        def on_closed(submission: Submission, outcome: str) -> None:
            if timer is not None:
                timer.cancel()
            self._queue.forget(submission.granted_rows - submission.taken_rows)
            self._live.discard(submission)
            self._schedule_pump()
            self._observer.rows_ended(self._model, self._version, call.verb, outcome, call.row_count)
            closed(submission)
            self._changed()

        submission = Submission(call, window=window, wanting=self._want, closed=on_closed)
        self._live.add(submission)
        if deadline is not None:
            timer = self._clock.call_at(deadline, submission.expire)
        self._observer.admitted(self._model, self._version, call.verb, call.row_count)
        self._want(submission)
        return submission

    async def drained(self) -> None:
        """Waits until every submission has ended and no batch runs."""
        while self._live or self._tasks:
            self._idle.clear()
            await self._idle.wait()

    def fail_all(self, error: GenserviceError) -> None:
        """Ends every submission with an error."""
        for submission in list(self._live):
            submission.fail(error)

    def _want(self, submission: Submission) -> None:
        """Grants rows of a submission as soon as the queue has room, in the order in which submissions asked."""
        self._wanting.append(submission)
        self._grant()
        self._schedule_pump()

    def _grant(self) -> None:
        while self._wanting:
            submission = self._wanting[0]
            room = self._serving.max_queue_rows - self._queue.rows
            rows = min(submission.wanted_rows, room)
            if rows:
                self._queue.add(submission, rows, _group_key(submission.call), self._clock.now())
            if submission.wanted_rows:
                return
            self._wanting.popleft()

    def _schedule_pump(self) -> None:
        # Once a turn of the loop, so that requests that arrive together share a batch.
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        self._grant()
        while self._may_start():
            taken, since = self._queue.take(self._serving.max_batch_rows)
            if not taken:
                break
            self._grant()
            task = asyncio.create_task(self._run(taken, self._clock.now() - since))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        self._changed()

    def _may_start(self) -> bool:
        if not self._queue.rows:
            return False
        full = self._queue.rows >= self._serving.max_batch_rows
        if self._tasks:
            return full and len(self._tasks) <= BATCHES_AHEAD
        if full or not self._serving.max_queue_delay_ms:
            return True
        due = self._queue.oldest() + self._serving.max_queue_delay_ms / 1000
        if due <= self._clock.now():
            return True
        if self._delay is None:
            self._delay = self._clock.call_at(due, self._delay_over)
        return False

    def _delay_over(self) -> None:
        self._delay = None
        self._schedule_pump()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._schedule_pump()

    async def _run(self, taken: Sequence[tuple[Submission, Slice]], queue_s: float) -> None:
        batch = [piece for _, piece in taken]
        rows = sum(map(len, batch))
        self._running_rows += rows
        started = self._clock.now()
        try:
            for (submission, piece), results in zip(taken, await self._attempt(batch), strict=True):
                if isinstance(results, GenserviceError):
                    submission.fail(results)
                else:
                    submission.deliver(piece, results)
        finally:
            self._running_rows -= rows
            self._batch_s = self._clock.now() - started
            padded = next((size for size in self._serving.sizes if size >= rows), rows)
            self._observer.batch_ran(
                self._model, self._version, batch[0].call.verb, rows, padded, queue_s, self._batch_s
            )

    async def _attempt(self, batch: Batch) -> Sequence[Results | GenserviceError]:
        """Runs a batch; where it fails, each slice by itself, so that one row's fault is not its neighbours'."""
        try:
            return await self._replica.run(batch)
        except Exception as error:  # noqa: BLE001 - the model's code may raise anything
            if len(batch) > 1:
                return [result for piece in batch for result in await self._attempt([piece])]
            if isinstance(error, GenserviceError):
                return [error]
            reference = secrets.token_hex(6)
            verb = batch[0].call.verb
            self._observer.model_raised(self._model, self._version, verb, reference, error)
            return [
                ModelError(
                    f"The model {self._model!r} failed to {verb}. The log has the reason under {reference}.",
                    metadata={"reference": reference},
                )
            ]

    def _queue_s(self) -> float:
        batches = self._queue.rows / self._serving.max_batch_rows
        return max(0.05, round(batches * self._batch_s, 3))

    def _changed(self) -> None:
        self._observer.queue_changed(self._model, self._version, self._queue.rows, self._running_rows)
        if not (self._live or self._tasks):
            self._idle.set()


def _group_key(call: Call) -> GroupKey:
    return (call.verb, *(getattr(call.options, name) for name in static_names(type(call.options))))
