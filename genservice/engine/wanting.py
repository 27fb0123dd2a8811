"""Streams that read on while there is no room: they are granted rows when there is, callers in turn."""

from collections import OrderedDict
from collections.abc import Callable

from genservice.engine.queue import GroupKey, RowQueue
from genservice.engine.submission import Submission


class Wanting:
    """Submissions that want more rows than there is room for.

    A caller that is at its limit stops nobody else; its own submissions are granted rows in the order in which they
    asked.

    Args:
        queue: Where rows are granted.
        key_of: The group of a submission's rows.
    """

    def __init__(self, queue: RowQueue, key_of: Callable[[Submission], GroupKey]) -> None:
        self._queue = queue
        self._key_of = key_of
        self._callers: OrderedDict[str, OrderedDict[Submission, None]] = OrderedDict()

    def __contains__(self, caller: str) -> bool:
        """Whether submissions of a caller want rows; one that comes new is after them."""
        return caller in self._callers

    def add(self, submission: Submission) -> None:
        """Lets a submission wait for room."""
        self._callers.setdefault(submission.flow.caller, OrderedDict())[submission] = None

    def discard(self, submission: Submission) -> None:
        """Forgets a submission that has ended."""
        submissions = self._callers.get(submission.flow.caller)
        if submissions is not None:
            submissions.pop(submission, None)
            if not submissions:
                del self._callers[submission.flow.caller]

    def grant(self, now: float) -> bool:
        """Grants what there is room for; each caller that still wants some goes to the end of the line.

        Returns:
            Whether any row was granted.
        """
        before = self._queue.rows
        for _ in range(len(self._callers)):
            if self._queue.is_full:
                break
            caller, submissions = self._callers.popitem(last=False)
            self._grant(submissions, now)
            if submissions:
                self._callers[caller] = submissions
        return self._queue.rows > before

    def _grant(self, submissions: OrderedDict[Submission, None], now: float) -> None:
        while submissions:
            submission = next(iter(submissions))
            rows = min(submission.wanted_rows, self._queue.room(submission.flow))
            if rows > 0:
                self._queue.add(submission, rows, self._key_of(submission), now)
            if submission.wanted_rows:
                return
            del submissions[submission]
