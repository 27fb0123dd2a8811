"""What the engine takes in: limits on rows and on bytes, of a request, of a caller and of all, and on deadlines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genservice.engine.call import Call, Results, Rows
from genservice.engine.catalog import Version
from genservice.engine.clock import Clock
from genservice.engine.flow import Flow, fair_room, most_of
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import NO_FLOW, Submission
from genservice.engine.verbs import most_neighbours
from genservice.errors import CallerLimit, DeadlineTooShort, GenserviceError, OutOfRange, QueueFull
from genservice.model.base import IterativeGenerator, Retriever

CHUNKS_AHEAD = 2
"""Chunks computed ahead of a stream's reader: one on its way, and one being made."""
DEADLINE_MARGIN = 1.25
"""A request is refused where its estimate is over the time that it has by this factor: what was measured varies, and a
request that is refused though it could have been served is worse than one that is served too late."""


class Admission:
    """Refuses what is over a limit, before anything is queued.

    Args:
        settings: The limits.
        clock: Time.
    """

    def __init__(self, settings: EngineSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._held_bytes = 0
        self._caller_bytes: dict[str, int] = {}

    def chunk_rows(self, version: Version, asked: int) -> int:
        """Rows of a chunk of samples.

        Args:
            version: What is drawn from.
            asked: The most that the request asks for; 0: it does not say.
        """
        assert version.serving is not None
        assert version.description is not None
        serving, row_bytes = version.serving, version.description.event.row_bytes
        # No stream takes more than half of the queue.
        queue_share = max(1, most_of(serving.max_queue_rows, self._settings.max_caller_rows) // CHUNKS_AHEAD)
        most = max(1, min(self._settings.max_chunk_bytes // row_bytes, queue_share))
        if asked:
            return min(asked, most)
        fitting = min(max(1, self._settings.chunk_bytes // row_bytes), most)
        if isinstance(version.description, IterativeGenerator):
            # More would only wait, in front of the rows of others.
            fitting = min(fitting, serving.max_batch_rows)
        # A chunk of whole batches is never cut on its way.
        size = max((size for size in serving.sizes if size <= fitting), default=1)
        return fitting // size * size

    def admit_draw(
        self,
        version: Version,
        call: Call,
        chunk_rows: int,
        timeout_s: float | None,
        flow: Flow = NO_FLOW,
        *,
        least_rows: int | None = None,
    ) -> Submission:
        """Admits a stream of samples, which holds two chunks at a time; at least `least_rows` are due in time.

        Raises:
            OutOfRange: It could never be admitted.
            QueueFull: It can be admitted later.
            CallerLimit: It can be, when the caller holds less.
            DeadlineTooShort: It would not be done in time.
        """
        assert version.description is not None
        window = CHUNKS_AHEAD * chunk_rows
        held = min(window, call.row_count) * version.description.event.row_bytes + _bytes_of(call.inputs)
        if call.output.with_event:
            # They come in two forms.
            held *= 2
        due_rows = call.row_count if least_rows is None else least_rows
        return self._admit(version, call, flow, window, held, timeout_s, due_rows)

    def admit_call(
        self,
        version: Version,
        call: Call,
        timeout_s: float | None,
        flow: Flow = NO_FLOW,
        *,
        beside_bytes: int = 0,
        patient: bool = False,
    ) -> Submission:
        """Admits a call that is answered at once, which holds its inputs and its answer.

        Args:
            version: What answers.
            call: What is asked.
            timeout_s: Seconds until the request's deadline; None: none.
            flow: Whose rows they are.
            beside_bytes: Bytes of the request that the model does not get.
            patient: Whether the call is part of a request that was admitted: it waits for room.

        Raises:
            OutOfRange: It could never be admitted.
            QueueFull: It can be admitted later.
            CallerLimit: It can be, when the caller holds less.
            DeadlineTooShort: It would not be done in time.
        """
        answer_bytes = call.row_count * _answer_row_bytes(version, call.verb, call.inputs)
        held = _bytes_of(call.inputs) + answer_bytes + beside_bytes
        return self._admit(version, call, flow, call.row_count, held, timeout_s, call.row_count, patient=patient)

    def check_size(
        self,
        version: Version,
        function: str,
        row_count: int,
        flow: Flow = NO_FLOW,
        inputs: Mapping[str, Rows] = MappingProxyType({}),
    ) -> None:
        """Refuses a call that could never be answered at once.

        Args:
            version: What answers.
            function: What is asked.
            row_count: Rows of the request.
            flow: Whose rows they are.
            inputs: Its inputs, as far as they are known.

        Raises:
            OutOfRange: It has too many rows.
        """
        assert version.serving is not None
        row_bytes = max(_answer_row_bytes(version, function, inputs), 1)
        limits = (
            self._settings.max_call_rows,
            self._most(version.serving.max_queue_rows, self._settings.max_caller_rows, flow),
            self._settings.max_answer_bytes // row_bytes,
        )
        if row_count > min(limits):
            raise OutOfRange(
                f"`inputs` has {row_count} rows; the most in one request is {min(limits)}.", field="inputs"
            )

    def check_answer(self, results: Results) -> None:
        """Refuses to give an answer that is longer than its rows let expect, as those of varying extents may be.

        Raises:
            OutOfRange: It is over the limit.
        """
        answer_bytes = _bytes_of(results)
        most = self._settings.max_answer_bytes
        if answer_bytes > most:
            raise OutOfRange(f"The answer has {answer_bytes} bytes, and the most is {most}.", field="inputs")

    def _admit(
        self,
        version: Version,
        call: Call,
        flow: Flow,
        window: int,
        held_bytes: int,
        timeout_s: float | None,
        due_rows: int,
        *,
        patient: bool = False,
    ) -> Submission:
        assert version.batcher is not None
        if not patient:
            self._check_deadline(version, call.verb, flow, timeout_s, due_rows)
            self._check_bytes(flow, held_bytes)

        def closed(submission: Submission) -> None:
            del submission
            self._hold(flow, -held_bytes)

        self._hold(flow, held_bytes)
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        try:
            return version.batcher.submit(
                call, window=window, deadline=deadline, closed=closed, flow=flow, patient=patient
            )
        except GenserviceError:
            self._hold(flow, -held_bytes)
            raise

    def _check_deadline(self, version: Version, verb: str, flow: Flow, timeout_s: float | None, due_rows: int) -> None:
        """Refuses what would not be done in time, all rows of a stream counted that are due.

        The estimate is a low one: the client's reading is not in it, nor are requests that come later.
        """
        if timeout_s is None:
            return
        assert version.batcher is not None
        estimate_s = version.batcher.estimate_s(verb, due_rows, flow)
        if estimate_s is None or estimate_s <= DEADLINE_MARGIN * timeout_s:
            return
        rate = version.batcher.rows_per_second[verb]
        raise DeadlineTooShort(
            f"{version.name} would take about {estimate_s:.3g} s for the rows, at {rate:.3g} rows a second and with "
            f"what waits before them, and the request's deadline is in {timeout_s:.3g} s.",
            metadata={
                "estimate_seconds": f"{estimate_s:.3f}",
                "rows_per_second": f"{rate:.3f}",
                "rows_before": str(round(estimate_s * rate)),
            },
        )

    def _check_bytes(self, flow: Flow, needed: int) -> None:
        limit = self._settings.max_caller_bytes
        most = self._most(self._settings.max_held_bytes, limit, flow)
        if needed > most:
            raise OutOfRange(f"The request needs {needed} bytes, and those of one caller together may hold {most}.")
        free = self._settings.max_held_bytes - self._held_bytes
        held = self._caller_bytes.get(flow.caller, 0)
        room = fair_room(free, held, limit) if flow.caller else free
        if needed <= room:
            return
        if flow.caller and held and needed <= free:
            raise CallerLimit(
                f"The requests of {flow.caller!r} hold {held} bytes and this one needs {needed} more; at this moment "
                f"the limit of a caller is {held + room}.",
                metadata={"caller": flow.caller, "caller_bytes": str(held), "max_caller_bytes": str(held + room)},
                retry_after_s=1.0,
            )
        raise QueueFull(
            f"The requests under way hold {self._held_bytes} bytes and this one needs {needed} more; "
            f"the limit is {self._settings.max_held_bytes}.",
            retry_after_s=1.0,
        )

    def _hold(self, flow: Flow, held_bytes: int) -> None:
        self._held_bytes += held_bytes
        held = self._caller_bytes.get(flow.caller, 0) + held_bytes
        if held:
            self._caller_bytes[flow.caller] = held
        else:
            self._caller_bytes.pop(flow.caller, None)

    @staticmethod
    def _most(total: int, limit: int, flow: Flow) -> int:
        """The most that the caller of a flow is ever given."""
        return most_of(total, limit) if flow.caller else total


def _answer_row_bytes(version: Version, function: str, inputs: Mapping[str, Rows]) -> int:
    """Bytes of one row of an answer; neighbours were measured at the most that can be asked for."""
    most = version.answer_row_bytes.get(function, 0)
    if function != "neighbours" or "k" not in inputs:
        return most
    assert isinstance(version.description, Retriever)
    greatest = most_neighbours(version.description)
    k: Any = inputs["k"]
    return most // greatest * min(max(int(k[0]), 1), greatest)


def _bytes_of(rows_by_name: Mapping[str, Rows]) -> int:
    return sum(sum(map(len, rows)) if isinstance(rows, list) else rows.nbytes for rows in rows_by_name.values())
