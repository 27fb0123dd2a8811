"""How calls are made, whether they are waited for or awaited.

Everything above this module is written once, as coroutines over `Runtime` and `Transport`. Those of the asynchronous
ones suspend, as coroutines do. Those of the synchronous ones block instead and never suspend, so that `run` finishes
one in a single step, without an event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast

import grpc

from genservice.v1.admin_pb2_grpc import ModelAdminServiceStub
from genservice.v1.classification_pb2_grpc import ClassificationServiceStub
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.models_pb2_grpc import ModelServiceStub
from genservice_client.endpoint import Address, Endpoint, MetadataPairs
from genservice_client.errors import ClientClosedError

T = TypeVar("T")
Request = TypeVar("Request")
Response = TypeVar("Response")
ResponseT_co = TypeVar("ResponseT_co", covariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Finishes a coroutine over a `SyncRuntime`."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("a coroutine over a synchronous runtime has suspended")


def run_each(generator: AsyncGenerator[T, None]) -> Iterator[T]:
    """Iterates over an asynchronous generator over a `SyncRuntime`."""
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
    """Makes calls to one address."""

    @property
    def stubs(self) -> Stubs:
        """The methods that can be called."""

    async def unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Response:
        """Makes a call.

        Raises:
            StatusError: It failed.
            ClientClosedError: The transport was closed.
        """

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> Call[Response]:
        """Begins a call that answers more than once."""

    def duplex(
        self,
        method: grpc.StreamStreamMultiCallable[Request, Response],
        timeout_s: float | None,
        metadata: MetadataPairs,
    ) -> DuplexCall[Request, Response]:
        """Begins a call that asks and answers more than once."""

    async def close(self) -> None:
        """Ends all calls and closes the connection."""


class Monitor(Protocol):
    """What guards state that several coroutines share, and wakes those that wait for it to change.

    State is read and changed inside of `with monitor`, where nothing is awaited, and by the steps of `until`.
    """

    def __enter__(self) -> object:
        """Keeps the others out."""

    def __exit__(self, *_: object) -> None:
        """Lets the others in."""

    def notify(self) -> None:
        """Wakes all who wait; called inside of `with monitor`."""

    async def until(self, step: Callable[[], T | None], timeout_s: float | None = None) -> T | None:
        """Takes a step again and again, after each `notify`, until it gives something.

        Args:
            step: Called with the others kept out; None: nothing yet.
            timeout_s: Seconds to wait; None: no limit.

        Returns:
            What the step gave; None where the time was over first.
        """


class Runtime(Protocol):
    """What differs between waiting and awaiting."""

    endpoint: Endpoint

    def connect(self, address: Address) -> Transport:
        """Makes the transport to one address; it connects when it is first used."""

    async def lookup(self, host: str, port: int) -> list[str]:
        """Gives the IP addresses of a name, as it is now.

        Raises:
            OSError: There are none.
        """

    async def sleep(self, seconds: float) -> None:
        """Waits."""

    def monitor(self) -> Monitor:
        """Makes a monitor for the coroutines of this runtime."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine beside the caller."""


class Connected:
    """What both transports share."""

    def __init__(self, endpoint: Endpoint, address: Address, credentials: grpc.ChannelCredentials | None) -> None:
        self._uri = address.uri
        self._options = endpoint.channel_options(address)
        self._credentials = credentials
        self._closed = False

    def _invoke(
        self, method: Callable[..., Any], request: object, timeout_s: float | None, metadata: MetadataPairs
    ) -> Any:
        if self._closed:
            raise ClientClosedError("the client is closed")
        return method(request, timeout=timeout_s, metadata=metadata)


def ip_addresses(entries: Sequence[Any]) -> list[str]:
    """Gives the IP addresses of what `getaddrinfo` found, each once, in its order."""
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))
