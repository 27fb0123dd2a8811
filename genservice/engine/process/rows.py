"""Rows as raw bytes: what describes them goes into an envelope, the bytes themselves into blocks.

Big tensors have a block of their own, which becomes the array on the other side without being copied; small ones share
blocks, so that a batch of many small rows is no more than a few pieces of memory.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Results, Rows
from genservice.engine.process.frames import Block, Buffer

FILES = "files"
TEXTS = "texts"
OWN_BLOCK_BYTES = 1 << 14
"""From this size on a tensor has a block of its own."""
_SHARED_BLOCK_BYTES = 1 << 16
_ALIGNMENT = 16
_PADDING = memoryview(bytes(_ALIGNMENT))

AnyRows = Rows | list[bytes]


class Column(msgspec.Struct, array_like=True, gc=False):
    """What rows look like.

    Args:
        kind: The dtype as NumPy spells it, such as `<f4`; or `files` or `texts`.
        extents: The shape, rows first; of files the bytes of each; of texts the bytes of all, then the characters of
            each.
    """

    kind: str
    extents: Sequence[int]


class Packer:
    """Collects the bytes of rows, in the order in which `Unpacker` is asked for them.

    Attributes:
        buffers: The bytes.
        blocks: Size of each block.
    """

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.blocks: list[int] = []
        self._open = False

    def add(self, parts: Sequence[AnyRows]) -> Column:
        """Takes in rows that come in parts, one after the other.

        Args:
            parts: Arrays of one type and row shape, or lists of one type.

        Returns:
            The description of all of them together.
        """
        first = parts[0]
        if isinstance(first, list):
            return self._add_list(parts[0] if len(parts) == 1 else [row for part in parts for row in part])  # type: ignore[arg-type]
        if first.dtype.hasobject:
            raise TypeError(f"An array of {first.dtype} cannot leave its process.")
        views = [_bytes_of(part) for part in parts]  # type: ignore[arg-type]
        self._put([view for view in views if view.nbytes])
        rows = len(first) if len(parts) == 1 else sum(map(len, parts))
        return Column(first.dtype.str, (rows, *first.shape[1:]))

    def add_results(self, results: Results) -> list[tuple[str, Column]]:
        """Takes in results."""
        return [(name, self.add((rows,))) for name, rows in results.items()]

    def _add_list(self, rows: Sequence[str] | Sequence[bytes]) -> Column:
        lengths = list(map(len, rows))
        if rows and isinstance(rows[0], bytes):
            self._put([memoryview(row) for row in rows if row])  # type: ignore[arg-type]
            return Column(FILES, lengths)
        text = "".join(rows).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
        self._put([memoryview(text)] if text else [])
        return Column(TEXTS, [len(text), *lengths])

    def _put(self, views: Sequence[memoryview]) -> None:
        count = sum(map(len, views))
        if not count:
            return
        if count >= OWN_BLOCK_BYTES:
            self._open = False
            self.blocks.append(count)
        else:
            padding = -self.blocks[-1] % _ALIGNMENT if self._open else 0
            if self._open and self.blocks[-1] + padding + count <= _SHARED_BLOCK_BYTES:
                if padding:
                    self.buffers.append(_PADDING[:padding])
                self.blocks[-1] += padding + count
            else:
                self._open = True
                self.blocks.append(count)
        self.buffers += views


class Unpacker:
    """Gives rows back.

    Args:
        blocks: The blocks.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = iter(blocks)
        self._shared: Block | None = None
        self._taken = 0

    def take(self, column: Column, *, copy: bool = True) -> Any:
        """The next rows.

        Args:
            column: Their description.
            copy: Whether they have to own their memory: a view of a block that they share would hold all of it.

        Returns:
            An array, or a list of bytes or strings.
        """
        kind, extents = column.kind, column.extents
        if kind == FILES:
            files = self._bytes(sum(extents))
            stops = list(accumulate(extents))
            return [files[stop - length : stop].tobytes() for stop, length in zip(stops, extents, strict=True)]
        if kind == TEXTS:
            text = str(self._bytes(extents[0]).data, "utf-8", "surrogatepass")
            lengths = extents[1:]
            stops = list(accumulate(lengths))
            return [text[stop - length : stop] for stop, length in zip(stops, lengths, strict=True)]
        dtype = np.dtype(kind)
        count = dtype.itemsize
        for extent in extents:
            count *= extent
        part = self._bytes(count)
        rows = part.view(dtype).reshape(extents)
        return rows.copy() if copy and self._shared is not None and self._shared.nbytes != count else rows

    def take_results(self, columns: Sequence[tuple[str, Column]], *, copy: bool = True) -> dict[str, Any]:
        """The next results."""
        return {name: self.take(column, copy=copy) for name, column in columns}

    def _bytes(self, count: int) -> Block:
        if not count:
            return _NO_BYTES
        if count >= OWN_BLOCK_BYTES:
            self._shared = None
            return next(self._blocks)
        start = self._taken + -self._taken % _ALIGNMENT
        if self._shared is None or start + count > self._shared.nbytes:
            self._shared, start = next(self._blocks), 0
        self._taken = start + count
        return self._shared[start : start + count]


_NO_BYTES = np.empty(0, np.uint8)


def split(results: Mapping[str, Any], counts: Sequence[int]) -> list[Results]:
    """Gives each slice its own of the results of rows that went together.

    Copied, so that a slow reader of a few rows does not hold all of them.
    """
    if len(counts) == 1:
        return [results]
    stops = list(accumulate(counts))
    pieces: list[dict[str, Any]] = [{} for _ in counts]
    for name, rows in results.items():
        listed = isinstance(rows, list)
        for piece, stop, count in zip(pieces, stops, counts, strict=True):
            part = rows[stop - count : stop]
            piece[name] = part if listed else part.copy()
    return list(pieces)


def _bytes_of(rows: NDArray[Any]) -> memoryview:
    try:
        return memoryview(rows).cast("B")  # type: ignore[arg-type]
    except (TypeError, ValueError):  # not contiguous, of another byte order, or empty
        return np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
