"""Calls that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import grpc

from genservice_client.errors import CancelledError, ClientClosedError
from genservice_client.status import error_from
from genservice_client.transport import Call, Connected, DuplexCall, Stubs

Request = TypeVar("Request")
Response = TypeVar("Response")


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise error_from(error) from error
    except asyncio.CancelledError:
        # grpc.aio raises this for a cancelled task and for a cancelled call alike; only the first is asyncio's.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CancelledError("the call was cancelled on this side") from None


class _AsyncCall(Generic[Request, Response]):
    def __init__(self, call: Any, requests: asyncio.Queue[Request | None] | None = None) -> None:
        self._call = call
        self._requests = requests

    async def read(self) -> Response | None:
        with _typed_errors():
            response = await self._call.read()
        return None if response is grpc.aio.EOF else cast("Response", response)

    def write(self, request: Request | None) -> None:
        if self._requests is not None:
            self._requests.put_nowait(request)

    def cancel(self) -> None:
        self.write(None)
        self._call.cancel()


class AsyncTransport(Connected):
    """Awaits. The channel belongs to the event loop that runs when it is first used."""

    @cached_property
    def stubs(self) -> Stubs:
        """The methods that can be called."""
        return Stubs(self._channel)

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._closed:
            raise ClientClosedError("the client is closed")
        tls, options = self.endpoint.tls, self.endpoint.channel_options()
        if tls is None:
            return grpc.aio.insecure_channel(self._uri, options)
        return grpc.aio.secure_channel(self._uri, tls.credentials(), options)

    async def unary(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """As `Transport.unary`."""
        with _typed_errors():
            return cast("Response", await self._invoke(method, request, timeout_s))

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Call[Response]:
        """As `Transport.stream`."""
        return _AsyncCall[Request, Response](self._invoke(method, request, timeout_s))

    def duplex(
        self, method: grpc.StreamStreamMultiCallable[Request, Response], timeout_s: float | None
    ) -> DuplexCall[Request, Response]:
        """As `Transport.duplex`."""
        requests: asyncio.Queue[Request | None] = asyncio.Queue()
        return _AsyncCall(self._invoke(method, _each(requests), timeout_s), requests)

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        await self.endpoint.clock.sleep_async(seconds)

    async def close(self) -> None:
        """As `Transport.close`."""
        self._closed = True
        if "_channel" in self.__dict__:
            await self._channel.close()


async def _each(requests: asyncio.Queue[Request | None]) -> AsyncIterator[Request]:
    while (request := await requests.get()) is not None:
        yield request
