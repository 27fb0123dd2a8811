"""What a batcher has given to a replica, and what of it has to run again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from genservice.engine.call import Call, Slice
from genservice.engine.rate import RowRate
from genservice.engine.submission import Submission
from genservice.engine.worker import Replica
from genservice.errors import WorkerLost

Taken = tuple[Submission, Slice]
"""Rows that were taken, and whose they are."""


@dataclass(slots=True, eq=False)
class Lane:
    """A replica, and what it has been given."""

    replica: Replica
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    rows: int = 0
    closing: bool = False
    trial: "Trial | None" = None
    failed: list[Taken] = field(default_factory=list)
    error: Exception | None = None
    rates: dict[str, RowRate] = field(default_factory=dict)
    """Rows a second that it makes, by verb."""

    def fail(self, error: Exception, taken: Sequence[Taken]) -> None:
        """Keeps rows that failed; a lost replica is given no more."""
        self.error = error
        self.failed += taken
        self.closing = self.closing or isinstance(error, WorkerLost)


@dataclass(slots=True, eq=False)
class Trial:
    """Rows that were under way when something broke, and that run again with no others beside them.

    Args:
        taken: The rows.
        losses: How often the worker died with just these rows, where it is one row.
    """

    taken: list[Taken]
    losses: int = 0


def halves(taken: Sequence[Taken]) -> list[list[Taken]]:
    """Two halves of two rows or more; a slice in the middle is cut."""
    room = sum(len(piece) for _, piece in taken) // 2
    first: list[Taken] = []
    second: list[Taken] = []
    for submission, piece in taken:
        middle = piece.start + min(room, len(piece))
        if middle > piece.start:
            first.append((submission, Slice(piece.call, piece.start, middle)))
        if middle < piece.stop:
            second.append((submission, Slice(piece.call, middle, piece.stop)))
        room -= middle - piece.start
    return [first, second]


def consecutive(call: Call, rows: set[int]) -> list[Slice]:
    """Rows of a call as slices."""
    slices: list[Slice] = []
    for row in sorted(rows):
        if slices and slices[-1].stop == row:
            slices[-1] = Slice(call, slices[-1].start, row + 1)
        else:
            slices.append(Slice(call, row, row + 1))
    return slices
