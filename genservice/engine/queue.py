"""The rows that wait for a batch."""

from collections import OrderedDict, deque

from genservice.engine.call import Slice
from genservice.engine.submission import Submission

GroupKey = tuple[object, ...]
"""What rows must have in common to share a batch: the verb and the static options."""


class RowQueue:
    """Rows granted and not yet taken, in groups that can share a batch.

    Groups take turns, and within a group its submissions share each batch evenly, so that a long stream never makes a
    short request wait for more than a batch. Taking rows costs time in proportion to what is taken, however much waits.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._groups: OrderedDict[GroupKey, deque[Submission]] = OrderedDict()

    def add(self, submission: Submission, rows: int, key: GroupKey, now: float) -> None:
        """Grants rows of a submission, and queues it if it is not queued."""
        submission.grant(rows, now)
        self.rows += rows
        if not submission.queued:
            submission.queued = True
            self._groups.setdefault(key, deque()).append(submission)

    def forget(self, rows: int) -> None:
        """Uncounts rows of a submission that has ended; it is dropped when its turn comes, or when nothing waits."""
        self.rows -= rows
        if not self.rows:
            self._groups.clear()

    def oldest(self) -> float:
        """When the submission whose turn it is began to wait; only while `rows` is not 0."""
        return min(group[0].waiting_since for group in self._groups.values())

    def take(self, most_rows: int) -> tuple[list[tuple[Submission, Slice]], float]:
        """Takes the rows of one batch.

        Args:
            most_rows: Rows that fit into the batch.

        Returns:
            The slices with their submissions, and when the one that waited longest began to wait.
        """
        while self._groups:
            key, group = next(iter(self._groups.items()))
            taken: list[tuple[Submission, Slice]] = []
            since = float("inf")
            room = most_rows
            while group and room:
                share = max(1, room // len(group))
                submission = group.popleft()
                rows = min(submission.available_rows, share)
                if rows:
                    since = min(since, submission.waiting_since)
                    taken.append((submission, submission.take(rows)))
                    room -= rows
                if submission.available_rows:
                    group.append(submission)
                else:
                    submission.queued = False
            if group:
                self._groups.move_to_end(key)
            else:
                del self._groups[key]
            if taken:
                self.rows -= most_rows - room
                return taken, since
        return [], 0.0
