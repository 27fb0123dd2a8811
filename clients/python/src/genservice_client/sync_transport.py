"""Calls that block."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

import grpc

from genservice_client.endpoint import Endpoint
from genservice_client.status import error_from
from genservice_client.transport import Call, Connected, DuplexCall, Stubs

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

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        tls, options = endpoint.tls, endpoint.channel_options()
        if tls is None:
            self._channel = grpc.insecure_channel(self._uri, options)
        else:
            self._channel = grpc.secure_channel(self._uri, tls.credentials(), options)
        self.stubs = Stubs(self._channel)

    async def unary(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """As `Transport.unary`."""
        try:
            return cast("Response", self._invoke(method, request, timeout_s))
        except grpc.RpcError as error:
            raise error_from(error) from error

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Call[Response]:
        """As `Transport.stream`."""
        return _SyncCall[Request, Response](self._invoke(method, request, timeout_s))

    def duplex(
        self, method: grpc.StreamStreamMultiCallable[Request, Response], timeout_s: float | None
    ) -> DuplexCall[Request, Response]:
        """As `Transport.duplex`."""
        requests: SimpleQueue[Request | None] = SimpleQueue()
        return _SyncCall(self._invoke(method, iter(requests.get, None), timeout_s), requests)

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        self.endpoint.clock.sleep(seconds)

    async def close(self) -> None:
        """As `Transport.close`."""
        self._closed = True
        self._channel.close()
