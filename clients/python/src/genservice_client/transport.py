"""How calls are made, whether they are waited for or awaited.

Everything above this module is written once, as coroutines over `Transport`. Those of `AsyncTransport` suspend, as
coroutines do. Those of `SyncTransport` block instead and never suspend, so that `run` finishes one in a single step,
without an event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar, cast

import grpc

from genservice.v1.admin_pb2_grpc import ModelAdminServiceStub
from genservice.v1.classification_pb2_grpc import ClassificationServiceStub
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.models_pb2_grpc import ModelServiceStub
from genservice_client.endpoint import Endpoint
from genservice_client.errors import ClientClosedError

T = TypeVar("T")
Request = TypeVar("Request")
Response = TypeVar("Response")
ResponseT_co = TypeVar("ResponseT_co", covariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Finishes a coroutine over a `SyncTransport`."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("a coroutine over a synchronous transport has suspended")


def run_each(generator: AsyncGenerator[T, None]) -> Iterator[T]:
    """Iterates over an asynchronous generator over a `SyncTransport`."""
    try:
        while True:
            try:
                yield run(generator.__anext__())
            except StopAsyncIteration:
                return
    finally:
        run(generator.aclose())


class Stubs:
    """The services, on one channel. An asynchronous channel's have the same methods, to be awaited."""

    def __init__(self, channel: Any) -> None:
        self.generation = GenerationServiceStub(channel)
        self.classification = ClassificationServiceStub(channel)
        self.models = ModelServiceStub(channel)
        self.admin = ModelAdminServiceStub(channel)


class Call(Protocol[ResponseT_co]):
    """A call that answers more than once."""

    async def read(self) -> ResponseT_co | None:
        """Waits for the next response; None after the last.

        Raises:
            StatusError: The call failed.
        """

    def cancel(self) -> None:
        """Ends the call; nothing happens where it has ended."""


class DuplexCall(Call[ResponseT_co], Protocol[RequestT_contra, ResponseT_co]):
    """A call that asks more than once, too."""

    def write(self, request: RequestT_contra | None) -> None:
        """Sends a request, without waiting until it has left; None: there are no more."""


class Transport(Protocol):
    """Makes calls."""

    endpoint: Endpoint

    @property
    def stubs(self) -> Stubs:
        """The methods that can be called."""

    async def unary(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Response:
        """Makes a call.

        Raises:
            StatusError: It failed.
            ClientClosedError: The transport was closed.
        """

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[Request, Response], request: Request, timeout_s: float | None
    ) -> Call[Response]:
        """Begins a call that answers more than once."""

    def duplex(
        self, method: grpc.StreamStreamMultiCallable[Request, Response], timeout_s: float | None
    ) -> DuplexCall[Request, Response]:
        """Begins a call that asks and answers more than once."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""

    async def close(self) -> None:
        """Ends all calls and closes the connections."""


class Connected:
    """What both transports share."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._uri = endpoint.uri()
        self._metadata = endpoint.metadata_pairs()
        self._closed = False

    def _invoke(self, method: Callable[..., Any], request: object, timeout_s: float | None) -> Any:
        if self._closed:
            raise ClientClosedError("the client is closed")
        return method(request, timeout=timeout_s, metadata=self._metadata)
