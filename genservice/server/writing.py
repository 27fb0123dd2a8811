"""Writes the responses of a stream, and ends the stream when its client takes none of them any more."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import grpc

from genservice.errors import WriteTimeout
from genservice.server import rpc
from genservice.server.status import abort_arguments

_GRPCS_TASK = "_schedule_rpc_coro"
"""The coroutine of grpc.aio that runs as long as an RPC."""


def writing(generate: Callable[[Any, Any], Any], timeout_s: float) -> Callable[[Any, Any], Awaitable[None]]:
    """Makes a generator of responses a coroutine that writes them, and closes the generator when the client has gone.

    gRPC itself leaves a generator to the garbage collector. Only a response that waits for its client counts against
    the limit, never the time in which there is none.

    Args:
        generate: The generator: takes the request, or an iterator of requests, and the context.
        timeout_s: Seconds that a response waits for its client to take it, before the stream ends with `WriteTimeout`;
            then its status has as many. 0: no limit.
    """

    async def write(request: Any, context: Any) -> None:
        is_late = False
        async with aclosing(generate(request, context)) as responses:
            async for response in responses:
                try:
                    async with asyncio.timeout(timeout_s or None):
                        await context.write(response)
                except TimeoutError:
                    is_late = True
                    break
                finally:
                    # Not held while the next one is made.
                    del response
        if is_late:
            await _give_up(context, timeout_s)

    return write


async def _give_up(context: Any, timeout_s: float) -> None:
    """Ends an RPC without waiting for its status to be sent: that waits behind what the client has not taken."""
    next_index = rpc.current().next_index
    error = WriteTimeout(
        f"The client took no response for {timeout_s:g} s.",
        metadata={} if next_index is None else {"next_index": str(next_index)},
        retry_after_s=0.0,
    )
    sending = asyncio.create_task(_send_status(context, error))
    await asyncio.sleep(0)
    try:
        # The status is on its way, so this writes nothing, and raises what says so.
        await context.write(b"")
    except grpc.aio.AbortError as aborted:
        handler = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(timeout_s, _cut_off, handler, sending, aborted)
        sending.add_done_callback(lambda _: timer.cancel())
        raise


async def _send_status(context: Any, error: WriteTimeout) -> None:
    with suppress(grpc.aio.BaseError):
        await context.abort(*abort_arguments(error))


def _cut_off(handler: asyncio.Task[Any] | None, sending: asyncio.Task[None], aborted: grpc.aio.AbortError) -> None:
    """Resets an RPC whose method has ended, so that gRPC gives back an unsent response, and the RPC's place.

    grpc.aio has no call for that. It resets an RPC to whose state nothing refers any more, and what still does is the
    task that waits until the client ends the RPC, that which sends the status, and the error, whose frames have the
    context.

    Args:
        handler: The task in which the method ran, to which the first of the two refers.
        sending: The second.
        aborted: What the method raised.
    """
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        if getattr(coroutine, "__name__", "") == _GRPCS_TASK and handler in gc.get_referents(
            *gc.get_referents(coroutine)
        ):
            task.cancel()
    sending.cancel()
    aborted.__traceback__ = None
