"""Calls that are awaited."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import grpc

from genservice_client.endpoint import Address, Endpoint, MetadataPairs
from genservice_client.errors import CancelledError, ClientClosedError
from genservice_client.status import error_from
from genservice_client.transport import Call, Connected, DuplexCall, Monitor, Stubs, Transport, ip_addresses

T = TypeVar("T")
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
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._uri, self._options)
        return grpc.aio.secure_channel(self._uri, self._credentials, self._options)

    async def unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Response:
        """As `Transport.unary`."""
        with _typed_errors():
            return cast("Response", await self._invoke(method, request, timeout_s, metadata))

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Call[Response]:
        """As `Transport.stream`."""
        return _AsyncCall[Request, Response](self._invoke(method, request, timeout_s, metadata))

    def duplex(
        self,
        method: grpc.StreamStreamMultiCallable[Request, Response],
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> DuplexCall[Request, Response]:
        """As `Transport.duplex`."""
        requests: asyncio.Queue[Request | None] = asyncio.Queue()
        return _AsyncCall(self._invoke(method, _each(requests), timeout_s, metadata), requests)

    async def close(self) -> None:
        """As `Transport.close`."""
        self._closed = True
        if "_channel" in self.__dict__:
            await self._channel.close()


class AsyncMonitor:
    """As `Monitor`, between tasks of one event loop: what awaits nothing is alone anyway."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def __enter__(self) -> object:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def notify(self) -> None:
        """As `Monitor.notify`."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, step: Callable[[], T | None], timeout_s: float | None = None) -> T | None:
        """As `Monitor.until`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                while (result := step()) is None:
                    waiter = loop.create_future()
                    self._waiters.append(waiter)
                    await waiter
                return result
        except TimeoutError:
            return None


class AsyncRuntime:
    """Awaits; what runs beside the caller is a task."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._credentials = endpoint.tls.credentials() if endpoint.tls else None
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(self, address: Address) -> Transport:
        """As `Runtime.connect`."""
        return AsyncTransport(self.endpoint, address, self._credentials)

    async def lookup(self, host: str, port: int) -> list[str]:
        """As `Runtime.lookup`."""
        loop = asyncio.get_running_loop()
        return ip_addresses(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def sleep(self, seconds: float) -> None:
        """As `Runtime.sleep`."""
        await self.endpoint.clock.sleep_async(seconds)

    def monitor(self) -> Monitor:
        """As `Runtime.monitor`."""
        return AsyncMonitor()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """As `Runtime.spawn`."""
        # The loop itself holds tasks weakly.
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _each(requests: asyncio.Queue[Request | None]) -> AsyncIterator[Request]:
    while (request := await requests.get()) is not None:
        yield request
