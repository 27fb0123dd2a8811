"""What the engine takes in: limits on the rows of a request, and on the bytes that all of them hold."""

from collections.abc import Mapping

from genservice.engine.call import Call, Rows
from genservice.engine.catalog import Version
from genservice.engine.clock import Clock
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Submission
from genservice.errors import GenserviceError, OutOfRange, QueueFull

CHUNKS_AHEAD = 2
"""Chunks computed ahead of a stream's reader: one on its way, and one being made."""


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
        queue_share = max(1, serving.max_queue_rows // (2 * CHUNKS_AHEAD))
        most = max(1, min(self._settings.max_chunk_bytes // row_bytes, queue_share))
        if asked:
            return min(asked, most)
        fitting = min(max(1, self._settings.chunk_bytes // row_bytes), most)
        # A chunk of whole batches is never cut on its way.
        size = max((size for size in serving.sizes if size <= fitting), default=1)
        return fitting // size * size

    def admit_draw(self, version: Version, call: Call, chunk_rows: int, timeout_s: float | None) -> Submission:
        """Admits a stream of samples, which holds two chunks at a time.

        Raises:
            OutOfRange: It could never be admitted.
            QueueFull: It can be admitted later.
        """
        assert version.description is not None
        window = CHUNKS_AHEAD * chunk_rows
        held = min(window, call.row_count) * version.description.event.row_bytes + _bytes_of(call.inputs)
        return self._admit(version, call, window, held, timeout_s)

    def admit_call(self, version: Version, call: Call, timeout_s: float | None) -> Submission:
        """Admits a call that is answered at once, which holds its inputs and its answer.

        Raises:
            OutOfRange: It could never be admitted.
            QueueFull: It can be admitted later.
        """
        answer_bytes = call.row_count * self._answer_row_bytes(version, call.verb)
        return self._admit(version, call, call.row_count, _bytes_of(call.inputs) + answer_bytes, timeout_s)

    def check_size(self, version: Version, verb: str, row_count: int) -> None:
        """Refuses a call that could never be answered at once.

        Raises:
            OutOfRange: It has too many rows.
        """
        assert version.serving is not None
        row_bytes = max(self._answer_row_bytes(version, verb), 1)
        limits = (
            self._settings.max_call_rows,
            version.serving.max_queue_rows,
            self._settings.max_answer_bytes // row_bytes,
        )
        if row_count > min(limits):
            raise OutOfRange(
                f"`inputs` has {row_count} rows; the most in one request is {min(limits)}.", field="inputs"
            )

    def _answer_row_bytes(self, version: Version, verb: str) -> int:
        assert version.replica is not None
        return version.replica.answer_row_bytes.get(verb, 0)

    def _admit(self, version: Version, call: Call, window: int, held_bytes: int, timeout_s: float | None) -> Submission:
        if held_bytes > self._settings.max_held_bytes:
            raise OutOfRange(
                f"The request needs {held_bytes} bytes, and all requests together may hold "
                f"{self._settings.max_held_bytes}."
            )
        if self._held_bytes + held_bytes > self._settings.max_held_bytes:
            raise QueueFull(
                f"The requests under way hold {self._held_bytes} bytes and this one needs {held_bytes} more; "
                f"the limit is {self._settings.max_held_bytes}.",
                retry_after_s=1.0,
            )
        assert version.batcher is not None

        def closed(submission: Submission) -> None:
            del submission
            self._held_bytes -= held_bytes

        self._held_bytes += held_bytes
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        try:
            return version.batcher.submit(call, window=window, deadline=deadline, closed=closed)
        except GenserviceError:
            self._held_bytes -= held_bytes
            raise


def _bytes_of(inputs: Mapping[str, Rows]) -> int:
    return sum(sum(map(len, rows)) if isinstance(rows, list) else rows.nbytes for rows in inputs.values())
