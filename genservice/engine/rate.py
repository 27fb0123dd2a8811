"""How fast a replica is, from what it did last."""

from math import exp

FORGETTING_S = 10.0
"""Busy seconds after which a measurement counts for a third."""
EVIDENCE_S = 0.25
"""Busy seconds before which nothing is said."""


class RowRate:
    """Rows a second of busy time that a replica makes when it has enough of them.

    A batch of one row takes about as long as a full one, so one row in a batch says little about the rows a second of
    full batches. Time counts as far as the replica was full: with a quarter of the rows that it runs at once under way,
    a second counts as a quarter of one. What is measured at full batches is exact; what is measured at smaller ones is
    an upper bound, by which nobody is refused who could have been served.

    Time with nothing under way does not count, and time with several batches under way counts once.

    Args:
        full_rows: Rows that the replica runs at once: the largest batch, or the slots.
    """

    def __init__(self, full_rows: int) -> None:
        self._full_rows = full_rows
        self._under_way = 0
        self._since = 0.0
        self._busy_s = 0.0
        self._rows = 0.0
        self._full_s = 0.0

    @property
    def rows_per_second(self) -> float:
        """Rows a second, the last `FORGETTING_S` busy seconds above all; 0.0 while there is too little evidence."""
        if self._busy_s < EVIDENCE_S or not self._full_s:
            return 0.0
        return self._rows / self._full_s

    def began(self, rows: int, now: float) -> None:
        """Rows were given to the replica."""
        self._pass_to(now)
        self._under_way += rows

    def ended(self, rows: int, now: float) -> None:
        """Some of these rows were computed, one by one or all at once."""
        self._pass_to(now)
        self._under_way -= rows
        self._rows += rows

    def dropped(self, rows: int, now: float) -> None:
        """Some of these rows will not be computed."""
        self._pass_to(now)
        self._under_way -= rows

    def _pass_to(self, now: float) -> None:
        if self._under_way > 0:
            passed = now - self._since
            kept = exp(-passed / FORGETTING_S)
            self._busy_s += passed
            self._rows *= kept
            self._full_s = self._full_s * kept + passed * min(1.0, self._under_way / self._full_rows)
        self._since = now
