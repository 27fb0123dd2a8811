"""Calls that block."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Coroutine
from functools import cached_property
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

import grpc

from genservice_client.endpoint import Address, Endpoint, MetadataPairs
from genservice_client.errors import ClientClosedError
from genservice_client.status import error_from
from genservice_client.transport import Call, Connected, DuplexCall, Monitor, Stubs, Transport, ip_addresses, run

T = TypeVar("T")
Request = TypeVar("Request")
Response = TypeVar("Response")


class _SyncCall(Generic[Request, Response]):
    def __init__(self, call: Any, requests: SimpleQueue[Request | None] | None = None) -> None:
        self._call = call
        self._requests = requests

    async def read(self) -> Response | None:
        try:
            return cast("Response | None", next(self._call, None))
        except grpc.RpcError as error:
            raise error_from(error) from error

    def write(self, request: Request | None) -> None:
        if self._requests is not None:
            self._requests.put(request)

    def cancel(self) -> None:
        self.write(None)
        self._call.cancel()


class SyncTransport(Connected):
    """Blocks."""

    @cached_property
    def stubs(self) -> Stubs:
        """The methods that can be called."""
        return Stubs(self._channel)

    @cached_property
    def _channel(self) -> grpc.Channel:
        if self._closed:
            raise ClientClosedError("the client is closed")
        if self._credentials is None:
            return grpc.insecure_channel(self._uri, self._options)
        return grpc.secure_channel(self._uri, self._credentials, self._options)

    async def unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Response:
        """As `Transport.unary`."""
        try:
            return cast("Response", self._invoke(method, request, timeout_s, metadata))
        except grpc.RpcError as error:
            raise error_from(error) from error

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Call[Response]:
        """As `Transport.stream`."""
        return _SyncCall[Request, Response](self._invoke(method, request, timeout_s, metadata))

    def duplex(
        self,
        method: grpc.StreamStreamMultiCallable[Request, Response],
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> DuplexCall[Request, Response]:
        """As `Transport.duplex`."""
        requests: SimpleQueue[Request | None] = SimpleQueue()
        return _SyncCall(self._invoke(method, iter(requests.get, None), timeout_s, metadata), requests)

    async def close(self) -> None:
        """As `Transport.close`."""
        self._closed = True
        if "_channel" in self.__dict__:
            self._channel.close()


class SyncMonitor:
    """As `Monitor`, between threads."""

    def __init__(self) -> None:
        # Its lock can be taken twice: a finalizer may cancel a stream in a thread that is inside already.
        self._condition = threading.Condition()

    def __enter__(self) -> object:
        return self._condition.__enter__()

    def __exit__(self, *_: object) -> None:
        self._condition.__exit__(None, None, None)

    def notify(self) -> None:
        """As `Monitor.notify`."""
        self._condition.notify_all()

    async def until(self, step: Callable[[], T | None], timeout_s: float | None = None) -> T | None:
        """As `Monitor.until`."""
        with self._condition:
            end_s = None if timeout_s is None else time.monotonic() + timeout_s
            while (result := step()) is None:
                left_s = None if end_s is None else end_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._condition.wait(left_s)
            return result


class SyncRuntime:
    """Blocks; what runs beside the caller has a thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._credentials = endpoint.tls.credentials() if endpoint.tls else None

    def connect(self, address: Address) -> Transport:
        """As `Runtime.connect`."""
        return SyncTransport(self.endpoint, address, self._credentials)

    async def lookup(self, host: str, port: int) -> list[str]:
        """As `Runtime.lookup`."""
        return ip_addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def sleep(self, seconds: float) -> None:
        """As `Runtime.sleep`."""
        self.endpoint.clock.sleep(seconds)

    def monitor(self) -> Monitor:
        """As `Runtime.monitor`."""
        return SyncMonitor()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """As `Runtime.spawn`."""
        # A daemon, so that a stream which nobody ends does not keep the process.
        threading.Thread(target=run, args=(coroutine,), name="genservice-client", daemon=True).start()
