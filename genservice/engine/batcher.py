"""Gives the rows of many submissions to the replicas of one version, and hands out their results."""

import asyncio
import secrets
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from genservice.engine.call import Batch, Call, Results, RowDone, Slice
from genservice.engine.clock import Clock, Timer
from genservice.engine.flow import Flow
from genservice.engine.lane import Lane, Taken, Trial, consecutive, halves
from genservice.engine.observer import Observer
from genservice.engine.queue import GroupKey, RowQueue
from genservice.engine.rate import RowRate
from genservice.engine.submission import Submission
from genservice.engine.verbs import shared_values, verb_of
from genservice.engine.wanting import Wanting
from genservice.engine.worker import Replica, StepRan
from genservice.errors import CallerLimit, GenserviceError, ModelError, QueueTimeout, WorkerLost
from genservice.model.options import static_names
from genservice.store.manifest import Serving

BATCHES_AHEAD = 1
"""Full batches that a worker holds beside the one it runs."""
SLOTS_AHEAD = 4
"""One part in so many of an iterative model's slots is how many rows wait in its worker for one to fall free."""
LOSSES_ALONE = 2
"""How often a row is alone with its worker when that dies, before it is refused: once may be chance."""


class Batcher:
    """Turns the rows of many submissions into batches, or puts them into slots, for one version.

    An idle worker takes what is there, after `max_queue_delay_ms` at most. A busy worker is given one more batch when
    that is full; else rows go on collecting. The rows of an iterative model go to a worker as its slots fall free.

    Where a worker dies, the rows that it had run again, in halves and by themselves, until the one that it dies of is
    alone and is refused. Nobody else can tell: rows have addresses.

    Args:
        model: Name of the model.
        version: Its version.
        serving: Sizes and limits.
        clock: Time.
        observer: Is told what happens.
        iterative: Whether samples are drawn in slots.
        max_queue_s: Seconds that a row may wait; 0: no limit.
        max_caller_rows: Most rows of one caller that may wait.
    """

    def __init__(
        self,
        model: str,
        version: int,
        serving: Serving,
        clock: Clock,
        observer: Observer,
        *,
        iterative: bool = False,
        max_queue_s: float = 0,
        max_caller_rows: int = sys.maxsize,
    ) -> None:
        self._model, self._version = model, version
        self._serving = serving
        self._clock = clock
        self._observer = observer
        self._iterative = iterative
        self._max_queue_s = max_queue_s
        self._queue = RowQueue(serving.max_queue_rows, max_caller_rows)
        self._live: set[Submission] = set()
        self._lanes: list[Lane] = []
        self._trials: deque[Trial] = deque()
        self._drawing: dict[Submission, set[asyncio.Task[None]]] = {}
        self._pump_scheduled = False
        self._delay: Timer | None = None
        self._queue_limit: Timer | None = None
        self._wanting = Wanting(self._queue, lambda submission: _group_key(submission.call))
        self._idle = asyncio.Event()
        self._holders = 0
        self._refusal: GenserviceError | None = None

    @property
    def queued_rows(self) -> int:
        """Rows that wait for a batch or a slot."""
        return self._queue.rows + sum(len(piece) for trial in self._trials for _, piece in trial.taken)

    @property
    def rows_per_second(self) -> dict[str, float]:
        """Rows a second that a replica was measured to make, by verb."""
        rates = [(verb, rate.rows_per_second) for lane in self._lanes for verb, rate in lane.rates.items()]
        return {verb: max(rate for known, rate in rates if known == verb) for verb, rate in rates if rate}

    def estimate_s(self, verb: str, rows: int, flow: Flow) -> float | None:
        """Seconds until a newcomer's rows would be done.

        Args:
            verb: What is asked.
            rows: How many rows.
            flow: Whose.

        Returns:
            None while nothing was measured.
        """
        rate = self.rows_per_second.get(verb)
        if not rate:
            return None
        running = sum(lane.rows for lane in self._lanes)
        return (running + self._queue.rows_before(flow, rows)) / (rate * max(1, len(self._lanes)))

    def attach(self, replica: Replica) -> None:
        """Begins to give rows to a replica."""
        lane = Lane(replica)
        replica.on_step = self._step_ran
        self._lanes.append(lane)
        self._schedule_pump()

    async def detach(self, replica: Replica) -> None:
        """Gives a replica no more rows, and waits until it has none; a lost one has none soon."""
        for lane in self._lanes:
            if lane.replica is replica:
                lane.closing = True
                while lane.tasks:
                    await asyncio.wait(lane.tasks)
                self._lanes.remove(lane)
                return

    def submit(
        self,
        call: Call,
        *,
        window: int,
        deadline: float | None,
        closed: Callable[[Submission], None],
        flow: Flow = Flow(),  # noqa: B008 - frozen
        patient: bool = False,
    ) -> Submission:
        """Admits a call.

        Args:
            call: What is asked.
            window: Most rows computed ahead of the caller's reading.
            deadline: When its time is over, on the clock; None: never.
            closed: Told when it has ended.
            flow: Whose rows they are.
            patient: Whether the rows wait for room, rather than that the call is refused.

        Returns:
            What the caller reads the results from.

        Raises:
            QueueFull: There is no room for the first rows.
            CallerLimit: There is none for more of this caller's.
            GenserviceError: Everything was ended, for this reason.
        """
        if self._refusal is not None:
            raise self._refusal
        rows = min(call.row_count, window)
        if not patient and (rows > self._queue.room(flow) or flow.caller in self._wanting):
            self._check_room(flow, rows, self._retry_s(call.verb))
        timer: Timer | None = None

        def on_closed(submission: Submission, outcome: str) -> None:
            if timer is not None:
                timer.cancel()
            self._queue.forget(submission, submission.granted_rows - submission.taken_rows)
            self._wanting.discard(submission)
            self._live.discard(submission)
            for task in self._drawing.get(submission, ()):
                task.cancel()
            self._schedule_pump()
            ended = submission.read_rows if outcome == "ok" else call.row_count
            self._observer.rows_ended(self._model, self._version, call.verb, outcome, ended)
            if ended < call.row_count:
                self._observer.rows_ended(self._model, self._version, call.verb, "cancelled", call.row_count - ended)
            closed(submission)

        submission = Submission(call, window=window, wanting=self._want, closed=on_closed, flow=flow)
        self._live.add(submission)
        if deadline is not None:
            timer = self._clock.call_at(deadline, submission.expire)
        self._observer.admitted(self._model, self._version, call.verb, call.row_count)
        self._want(submission)
        return submission

    def _check_room(self, flow: Flow, rows: int, retry_after_s: float) -> None:
        self._queue.check_room(flow, rows, model=self._model, retry_after_s=retry_after_s)
        if flow.caller in self._wanting:
            raise CallerLimit(
                f"Rows of {flow.caller!r} that were admitted for {self._model!r} wait for room, and come first.",
                metadata={"caller": flow.caller, "caller_rows": str(self._queue.caller_rows(flow.caller))},
                retry_after_s=retry_after_s,
            )

    def hold(self) -> None:
        """Keeps this from being drained, for one that has more to ask: what began on a version ends on it."""
        self._holders += 1

    def release(self) -> None:
        """Ends what `hold` began."""
        self._holders -= 1
        self._tell_idle()

    async def drained(self) -> None:
        """Waits until every submission has ended, no batch runs, and nobody has more to ask."""
        while self._busy():
            self._idle.clear()
            await self._idle.wait()

    def end_streams(self, error: Callable[[int], GenserviceError]) -> None:
        """Ends draws that still want rows behind those that are being made; what is shorter comes to its end.

        Args:
            error: Gives a draw's error, by the index that it can go on from.
        """
        for submission in list(self._live):
            call = submission.call
            if call.verb == "sample" and submission.granted_rows < call.row_count:
                self._queue.forget(submission, submission.available_rows)
                self._wanting.discard(submission)
                submission.end_early(error(call.first_index + submission.taken_rows))

    def fail_all(self, error: GenserviceError) -> None:
        """Ends every submission with an error, and takes no more."""
        self._refusal = error
        for submission in list(self._live):
            submission.fail(error)

    def _want(self, submission: Submission) -> None:
        """Grants rows of a submission as soon as there is room for rows of its caller."""
        self._wanting.add(submission)
        self._grant()
        self._schedule_pump()

    def _grant(self) -> None:
        if self._wanting.grant(self._clock.now()):
            self._limit_wait()

    def _limit_wait(self) -> None:
        """Sees to it that no row waits for longer than the limit."""
        if self._max_queue_s and self._queue_limit is None and self._queue.rows:
            due = self._queue.oldest() + self._max_queue_s
            self._queue_limit = self._clock.call_at(due, self._refuse_expired)

    def _refuse_expired(self) -> None:
        self._queue_limit = None
        for submission in self._queue.expired(self._clock.now(), self._max_queue_s):
            submission.fail(
                QueueTimeout(
                    f"The rows waited {self._max_queue_s:g} s for {self._model!r}, which is the limit.",
                    retry_after_s=self._retry_s(submission.call.verb),
                )
            )
        self._limit_wait()

    def _schedule_pump(self) -> None:
        # Once a turn of the loop, so that requests that arrive together share a batch.
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        self._grant()
        for lane in self._lanes:
            while self._trials and not (lane.tasks or lane.closing):
                self._try(lane, self._trials.popleft())
        while self._queue.rows:
            # The replica that has least comes first: an idle one before one that is given a batch ahead.
            free = [lane for lane in self._lanes if self._room(lane)]
            if not free:
                break
            lane = min(free, key=lambda lane: lane.rows)
            room = self._room(lane)
            taken, since = self._queue.take(room)
            if not taken:
                break
            self._grant()
            self._give(lane, taken, self._clock.now() - since)
        self._changed()

    def _room(self, lane: Lane) -> int:
        """Rows that a lane may be given now."""
        if not self._queue.rows or lane.closing or lane.failed or lane.trial is not None or self._trials:
            return 0
        most = self._serving.max_batch_rows
        if self._iterative:
            return min(most, max(0, most + max(1, most // SLOTS_AHEAD) - lane.rows))
        full = self._queue.rows >= most
        if lane.tasks:
            return most if full and len(lane.tasks) <= BATCHES_AHEAD else 0
        return most if full or self._delay_over() else 0

    def _delay_over(self) -> bool:
        """Whether a free worker has waited long enough for a batch to fill."""
        if not self._serving.max_queue_delay_ms:
            return True
        due = self._queue.oldest() + self._serving.max_queue_delay_ms / 1000
        if due <= self._clock.now():
            return True
        if self._delay is None:
            self._delay = self._clock.call_at(due, self._end_delay)
        return False

    def _end_delay(self) -> None:
        self._delay = None
        self._schedule_pump()

    def _try(self, lane: Lane, trial: Trial) -> None:
        """Runs rows by themselves; those that nobody wants any more are left out."""
        trial.taken = [(submission, piece) for submission, piece in trial.taken if not submission.outcome]
        if trial.taken:
            lane.trial = trial
            self._give(lane, trial.taken, 0.0)

    def _give(self, lane: Lane, taken: Sequence[Taken], queue_s: float) -> None:
        if self._iterative and taken[0][1].call.verb == "sample":
            self._observer.draws_began(self._model, self._version, sum(len(piece) for _, piece in taken), queue_s)
            for submission, piece in taken:
                self._start(lane, self._draw(lane, submission, piece), len(piece))
        else:
            self._start(lane, self._run(lane, taken, queue_s), sum(len(piece) for _, piece in taken))

    def _start(self, lane: Lane, work: Coroutine[Any, Any, None], rows: int) -> None:
        lane.rows += rows
        task = asyncio.create_task(work)
        lane.tasks.add(task)
        task.add_done_callback(lambda task: self._ended(lane, task))

    def _ended(self, lane: Lane, task: "asyncio.Task[None]") -> None:
        lane.tasks.discard(task)
        if not lane.tasks:
            lane.rows = 0
            trial, lane.trial = lane.trial, None
            if lane.failed:
                self._salvage(lane, trial)
        self._schedule_pump()

    async def _run(self, lane: Lane, taken: Sequence[Taken], queue_s: float) -> None:
        batch = [piece for _, piece in taken]
        rows, verb = sum(map(len, batch)), batch[0].call.verb
        started = self._clock.now()
        rate = self._rate(lane, verb)
        rate.began(rows, started)
        try:
            for (submission, piece), results in zip(taken, await self._attempt(lane, batch), strict=True):
                if isinstance(results, WorkerLost):
                    lane.fail(results, [(submission, piece)])
                elif isinstance(results, GenserviceError):
                    submission.fail(results)
                else:
                    submission.deliver(piece, results)
        finally:
            lane.rows -= rows
            now = self._clock.now()
            rate.ended(rows, now)
            padded = next((size for size in self._serving.sizes if size >= rows), rows)
            self._observer.batch_ran(self._model, self._version, verb, rows, padded, queue_s, now - started)

    async def _attempt(self, lane: Lane, batch: Batch) -> Sequence[Results | GenserviceError]:
        """Runs a batch; where it fails, each slice by itself, so that one row's fault is not its neighbours'."""
        try:
            return await lane.replica.run(batch)
        except WorkerLost as lost:
            return [lost] * len(batch)
        except Exception as error:  # noqa: BLE001 - the model's code may raise anything
            if len(batch) > 1:
                return [result for piece in batch for result in await self._attempt(lane, [piece])]
            return [self._told(error, batch[0].call.verb)]

    async def _draw(self, lane: Lane, submission: Submission, piece: Slice) -> None:
        """Draws the rows of a slice in slots."""
        left = set(range(piece.start, piece.stop))
        rate = self._rate(lane, "sample")
        rate.began(len(piece), self._clock.now())
        task = asyncio.current_task()
        assert task is not None
        self._drawing.setdefault(submission, set()).add(task)
        try:
            async with aclosing(lane.replica.draw(piece)) as events:
                async for event in events:
                    if isinstance(event, RowDone):
                        left.discard(event.row)
                        lane.rows -= 1
                        rate.ended(1, self._clock.now())
                        submission.deliver(Slice(piece.call, event.row, event.row + 1), event.results)
                        self._schedule_pump()
                    else:
                        submission.tell(event)
        except Exception as error:  # noqa: BLE001 - the model's code may raise anything
            lane.fail(error, [(submission, part) for part in consecutive(piece.call, left)])
        finally:
            lane.rows -= len(left)
            rate.dropped(len(left), self._clock.now())
            tasks = self._drawing.get(submission, set())
            tasks.discard(task)
            if not tasks:
                self._drawing.pop(submission, None)

    def _step_ran(self, step: StepRan) -> None:
        self._observer.step_ran(self._model, self._version, step.rows, step.padded_rows, step.run_s)
        if not any(lane.rows for lane in self._lanes):
            # What the step had was given up meanwhile: its slots are free.
            self._changed()

    def _salvage(self, lane: Lane, trial: Trial | None) -> None:
        """Sees to the rows that were under way when the worker died, or when a step of an iterative model raised."""
        failed, lane.failed = [taken for taken in lane.failed if not taken[0].outcome], []
        error, lane.error = lane.error, None
        assert error is not None
        groups: dict[GroupKey, list[Taken]] = {}
        for taken in failed:
            groups.setdefault(_group_key(taken[1].call), []).append(taken)
        for group in groups.values():
            if sum(len(piece) for _, piece in group) > 1:
                self._trials += [Trial(half) for half in halves(group)]
                continue
            ((submission, piece),) = group
            losses = trial.losses + 1 if trial is not None else 1
            if isinstance(error, WorkerLost) and losses < LOSSES_ALONE:
                self._trials.append(Trial(group, losses))
            else:
                submission.fail(self._told(error, piece.call.verb))

    def _told(self, error: Exception, verb: str) -> GenserviceError:
        """The client's word for what happened to its rows; the log has the whole."""
        if isinstance(error, GenserviceError) and not isinstance(error, WorkerLost):
            return error
        reference = secrets.token_hex(6)
        self._observer.model_raised(self._model, self._version, verb, reference, error)
        return ModelError(
            f"The model {self._model!r} failed to {verb_of(verb)}. The log has the reason under {reference}.",
            metadata={"reference": reference},
        )

    def _rate(self, lane: Lane, verb: str) -> RowRate:
        return lane.rates.setdefault(verb, RowRate(self._serving.max_batch_rows))

    def _retry_s(self, verb: str) -> float:
        """Seconds after which there may be room."""
        rate = self.rows_per_second.get(verb)
        return max(0.05, round(self._queue.rows / rate, 3)) if rate else 1.0

    def _running(self) -> bool:
        return any(lane.tasks for lane in self._lanes) or bool(self._trials)

    def _changed(self) -> None:
        running = sum(lane.rows for lane in self._lanes)
        self._observer.queue_changed(self._model, self._version, self.queued_rows, running)
        self._tell_idle()

    def _busy(self) -> bool:
        return bool(self._live or self._holders) or self._running()

    def _tell_idle(self) -> None:
        if not self._busy():
            self._idle.set()


def _group_key(call: Call) -> GroupKey:
    statics = (getattr(call.options, name) for name in static_names(type(call.options)))
    return (call.verb, *statics, *shared_values(call.verb, call.inputs))
