"""The indexes of a draw as parts, which several readers take as they are free. No I/O."""

from collections.abc import Hashable
from dataclasses import dataclass

from genservice_client.draw import Draw
from genservice_client.ranges import IndexRanges

MOST_GROWTH = 8
"""Parts of a long draw are up to so many times as large as the least: fewer requests."""
PARTS_AHEAD = 4
"""Parts that a reader may be ahead of the samples that are given out, times the number of readers."""
STRAGGLER = 2.0
"""A part that takes this many times as long as a free reader would need for it is shared with that reader."""


@dataclass
class Lease:
    """A part that a reader has taken."""

    start: int
    end: int
    since: float
    """When it was taken, on the clock; time in which its reader had to wait for the consumer does not count."""


class Parts:
    """Which reader reads which samples of a draw.

    A free reader takes, in this order: samples that another one gave back; a fresh part (guided self-scheduling,
    Polychronopoulos and Kuck 1987: large parts while much is left, small ones at the end); and, where all is taken, the
    second half of what a much slower reader has left. Nothing is stored of what was given back: it is what is missing
    and not leased.

    Args:
        draw: The draw.
        part_rows: Least rows of a fresh part.
        read_ahead_bytes: No fresh parts are taken while so many bytes wait to be given out.
    """

    def __init__(self, draw: Draw, *, part_rows: int, read_ahead_bytes: int) -> None:
        self._draw = draw
        self._part_rows = part_rows
        self._read_ahead_bytes = read_ahead_bytes
        self._frontier = draw.first_index
        self._leases: dict[Hashable, Lease] = {}
        self._paces: dict[Hashable, float] = {}

    def take(self, reader: Hashable, now: float, *, readers: int) -> tuple[int, int] | None:
        """Gives a free reader its next part.

        Args:
            reader: Who takes it; it has none.
            now: The clock's time.
            readers: Readers in all.

        Returns:
            [start, end); None: there is nothing to take now.
        """
        part = self._given_back() or self._fresh(readers) or self._of_straggler(reader, now)
        if part is not None:
            self._leases[reader] = Lease(*part, since=now)
        return part

    def shorten(self, reader: Hashable, end: int) -> None:
        """Gives back what one request cannot ask for."""
        lease = self._leases[reader]
        lease.end = min(lease.end, end)

    def release(self, reader: Hashable, now: float) -> None:
        """Takes a part back: it was read, or its reader has failed."""
        lease = self._leases.pop(reader, None)
        if lease is not None and not self._draw.missing(lease.start, lease.end):
            self._paces[reader] = (now - lease.since) / max(1, lease.end - lease.start)

    def done(self, reader: Hashable) -> bool:
        """Says whether all samples of a reader's part have come, from it or from others."""
        lease = self._leases.get(reader)
        return lease is None or not self._draw.missing(lease.start, lease.end)

    def pause(self, reader: Hashable, seconds: float) -> None:
        """Takes down that a reader had to wait for the consumer."""
        if reader in self._leases:
            self._leases[reader].since += seconds

    def may_read(self, reader: Hashable) -> bool | None:
        """Says whether a reader may read on.

        Returns:
            True: yes. None: not now, for enough is waiting to be given out. False: it should give its part back, for
            nobody else is free to read the samples that are needed first.
        """
        draw = self._draw
        if self.done(reader) or draw.held_bytes < self._read_ahead_bytes:
            return True
        if draw.ready or not draw.in_order:
            return None
        # What is held cannot be given out before the samples at `next_index` come.
        if self._leases[reader].start <= draw.next_index < self._leases[reader].end:
            return True
        if any(lease.start <= draw.next_index < lease.end for lease in self._leases.values()):
            return None
        return False

    def _given_back(self) -> tuple[int, int] | None:
        taken = IndexRanges()
        for lease in self._leases.values():
            if lease.start < lease.end:
                taken.add(lease.start, lease.end)
        for start, end in self._draw.missing(self._draw.first_index, self._frontier):
            for free_start, free_end in taken.missing(start, end):
                return free_start, min(free_end, free_start + self._part_rows * MOST_GROWTH)
        return None

    def _fresh(self, readers: int) -> tuple[int, int] | None:
        draw = self._draw
        left = draw.end - self._frontier
        least = self._part_rows
        if draw.row_bytes:
            # So that there is room for a part of each reader.
            least = max(1, min(least, int(self._read_ahead_bytes / (2 * readers * draw.row_bytes))))
        rows = min(left, max(least, min(left // (4 * readers), self._most_rows(least, readers))))
        ahead = self._frontier - draw.next_index
        if rows < 1 or draw.held_bytes >= self._read_ahead_bytes:
            return None
        if draw.in_order and ahead >= PARTS_AHEAD * readers * max(rows, least):
            return None
        self._frontier += rows
        return self._frontier - rows, self._frontier

    def _most_rows(self, least: int, readers: int) -> int:
        most = least * MOST_GROWTH
        if self._draw.row_bytes:
            most = min(most, int(self._read_ahead_bytes / (2 * readers * self._draw.row_bytes)))
        return most

    def _of_straggler(self, reader: Hashable, now: float) -> tuple[int, int] | None:
        pace = self._paces.get(reader)
        if pace is None or self._draw.held_bytes >= self._read_ahead_bytes:
            return None
        leases = list(self._leases.values())
        for lease in sorted(leases, key=lambda lease: lease.start):
            left = self._draw.missing(lease.start, lease.end)
            if not left or now - lease.since < STRAGGLER * pace * (lease.end - lease.start):
                continue
            start, end = left[-1]
            if end - start > 1:
                start += (end - start) // 2
                lease.end = start
            elif sum(other.start <= start < other.end for other in leases) > 1:
                continue  # two read this sample already: the first to have it ends the other's reading
            return start, end
        return None
