"""Answers a stream of requests several at a time, in the order in which they came."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def answers_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Answer]], *, most: int
) -> AsyncGenerator[Answer, None]:
    """Answers requests as they come.

    Args:
        requests: Is read no further than `most` ahead of what was answered.
        answer: Answers one.
        most: Most requests under way.

    Yields:
        The answers, in the order of the requests. When one raises, those before it have been given, and those after it
        are cancelled.
    """
    places = asyncio.Semaphore(most)
    under_way: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()

    async def ask(request: Request) -> Answer:
        return await answer(request)

    async def read() -> None:
        try:
            await places.acquire()
            async for request in requests:
                under_way.put_nowait(asyncio.create_task(ask(request)))
                del request
                await places.acquire()
        finally:
            under_way.put_nowait(None)

    reader = asyncio.create_task(read())
    task: asyncio.Task[Answer] | None = None
    try:
        while (task := await under_way.get()) is not None:
            yield await task
            places.release()
        await reader
    finally:
        await _end(reader)
        while not under_way.empty():
            await _end(under_way.get_nowait())
        await _end(task)


async def _end(task: asyncio.Task[Answer] | asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        # One that is done is awaited too: asyncio logs an exception that nobody took.
        with suppress(asyncio.CancelledError, Exception):
            await task
