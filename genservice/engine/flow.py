"""Whose rows they are, and how urgent: what the queue is fair between, and what room it keeps for those to come."""

from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """How urgent a request is. A higher class gets most of the rows of each batch, and never all of them."""

    LOW = 0
    NORMAL = 1
    HIGH = 2

    @property
    def weight(self) -> float:
        """Share of the class among classes: of 21 rows, LOW gets 1, NORMAL 4 and HIGH 16 while all three wait."""
        return _WEIGHTS[self]


_WEIGHTS = (1.0, 4.0, 16.0)


@dataclass(frozen=True, slots=True)
class Flow:
    """The rows of one caller in one priority class.

    Args:
        caller: Who calls: the authenticated identity, or the peer's address. Empty: this process itself, which has its
            turn like any caller, and is not limited as one.
        share: A name by which the caller divides its own share; it never adds to it.
        weight: Share of the caller among callers; those of weight 2 get twice the rows of those of weight 1.
        priority: The class.
    """

    caller: str = ""
    share: str = ""
    weight: float = 1.0
    priority: Priority = Priority.NORMAL


def most_of(total: int, limit: int) -> int:
    """The most of something limited that one caller is ever given: half of it, and at least one.

    Args:
        total: All there is.
        limit: The limit of a caller.
    """
    return max(1, min(limit, total // 2))


def fair_room(free: int, held: int, limit: int) -> int:
    """How much of something limited a caller may be given now, so that there is always room for others.

    Nothing is given to a caller that would then hold more than stays free (dynamic thresholds: Choudhury & Hahne,
    "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6(2), 1998,
    with alpha = 1). So one caller that floods gets half, two get a third each, n get 1/(n + 1) each, and whoever comes
    next finds 1/(n + 1) of all free. A caller that holds nothing is given one where there is one.

    Args:
        free: What nobody holds.
        held: What the caller holds.
        limit: The most that a caller may hold, however much is free.
    """
    room = min((free - held) // 2, limit - held)
    return max(room, 0 if held else min(1, free))
