"""Work that would stop the event loop for longer than others should wait."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

LIGHT_BYTES = 1 << 18
"""What is no longer is looked at on the event loop: within about 0.1 ms, which is what a thread costs."""
TEXT_BYTES = 1 << 10
"""What a text counts for beside its own length: making tokens of it is the work of Python."""


async def aside(work_bytes: int, function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function, in a thread where it has much to do.

    Args:
        work_bytes: Bytes that it looks at.
        function: It; quick, and safe in several threads.
        arguments: Its arguments.
    """
    if work_bytes <= LIGHT_BYTES:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


def work_bytes_of(values: Iterable[Any]) -> int:
    """What looking at arrays, files and lists of texts amounts to."""
    return sum(map(_work_bytes, values))


def _work_bytes(rows: Any) -> int:
    if not isinstance(rows, list):
        return int(rows.nbytes)
    # Of files only the lengths are looked at.
    return sum(len(row) + TEXT_BYTES for row in rows) if rows and isinstance(rows[0], str) else len(rows)
