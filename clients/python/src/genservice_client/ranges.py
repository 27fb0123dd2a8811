"""Sets of sample indexes."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class IndexRanges:
    """A set of indexes, held as disjoint half-open ranges in ascending order; neighbours are joined."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> list[tuple[int, int]]:
        """Adds the indexes of [start, end).

        Args:
            start: The first index.
            end: One past the last index; greater than `start`.

        Returns:
            The parts of [start, end) that were not in the set, in ascending order.

        Raises:
            ValueError: The range is empty.
        """
        fresh = self.missing(start, end)
        # The ranges that overlap or touch [start, end) melt into one with it.
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        merged_start = min([start, *self._starts[first:last]])
        merged_end = max([end, *self._ends[first:last]])
        self._starts[first:last] = [merged_start]
        self._ends[first:last] = [merged_end]
        return fresh

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """Gives the parts of [start, end) that are not in the set, in ascending order.

        Raises:
            ValueError: The range is empty.
        """
        if start >= end:
            raise ValueError(f"[{start}, {end}) is empty")
        gaps = []
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        for held_start, held_end in zip(self._starts[first:last], self._ends[first:last], strict=True):
            if start < held_start:
                gaps.append((start, held_start))
            start = held_end
        if start < end:
            gaps.append((start, end))
        return gaps

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Gives the ranges, in ascending order."""
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """Counts the indexes."""
        return sum(end - start for start, end in self)

    def __repr__(self) -> str:
        return f"IndexRanges({', '.join(f'[{start}, {end})' for start, end in self)})"
