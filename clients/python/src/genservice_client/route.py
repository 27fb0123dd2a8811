"""The way of one call over the replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc

from genservice_client.endpoint import Priority
from genservice_client.errors import GenserviceClientError
from genservice_client.replicas import Replica, Replicas
from genservice_client.retry import Backoff, Deadline
from genservice_client.status import is_replicas_own, is_transient
from genservice_client.transport import Call, DuplexCall, Stubs

Request = TypeVar("Request")
Response = TypeVar("Response")


class Route:
    """Asks one replica after another. Each round over all of them counts as one attempt, and is followed by a wait.

    Args:
        replicas: Whom to ask.
        deadline: The end of the time for the call and its repetitions.
        priority: The call's own; None: the client's.

    Raises:
        ValueError: There is no such priority.
    """

    def __init__(self, replicas: Replicas, deadline: Deadline, priority: Priority | None = None) -> None:
        endpoint = replicas.endpoint
        self.deadline = deadline
        self.metadata = endpoint.metadata_pairs(priority)
        self._replicas = replicas
        self._backoff = Backoff(endpoint.retry, deadline, endpoint.clock)
        self._at: Replica | None = None
        self._tried: set[Replica] = set()

    async def unary(
        self,
        method: Callable[[Stubs], grpc.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        pinned: bool = False,
    ) -> Response:
        """Makes a call, and makes it again where that may help.

        Args:
            method: Gives the method of the services on a channel.
            request: What to ask.
            pinned: Whether it asks for a version that has answered before: where one replica does not have it, another
                one may.

        Raises:
            GenserviceClientError: It failed in the end.
        """
        while True:
            try:
                at = await self._next()
                response = await at.transport.unary(
                    method(at.transport.stubs), request, self.deadline.left_s(), self.metadata
                )
            except GenserviceClientError as error:
                await self.wait_after(error, transient=is_transient(error) or (pinned and is_replicas_own(error)))
            else:
                self.progress()
                return response

    async def stream(
        self, method: Callable[[Stubs], grpc.UnaryStreamMultiCallable[Request, Response]], request: Request
    ) -> Call[Response]:
        """Begins a call that answers more than once, at the next replica."""
        at = await self._next()
        return at.transport.stream(method(at.transport.stubs), request, self.deadline.left_s(), self.metadata)

    async def duplex(
        self, method: Callable[[Stubs], grpc.StreamStreamMultiCallable[Request, Response]]
    ) -> DuplexCall[Request, Response]:
        """Begins a call that asks and answers more than once, at the next replica."""
        at = await self._next()
        return at.transport.duplex(method(at.transport.stubs), self.deadline.left_s(), self.metadata)

    def progress(self) -> None:
        """Forgets the failures: the replica has answered."""
        self._backoff.reset()
        self._tried.clear()
        if self._at is not None:
            self._replicas.answered(self._at)

    async def wait_after(self, error: GenserviceClientError, *, transient: bool | None = None) -> None:
        """Waits until the next attempt, which comes at once where another replica has not been tried.

        Args:
            error: How the call failed.
            transient: Whether another attempt may succeed; None: as `is_transient` says.

        Raises:
            GenserviceClientError: The error itself, where another attempt would be in vain, too many or too late.
        """
        transient = is_transient(error) if transient is None else transient
        if self._at is not None and transient:
            self._replicas.failed(self._at)
            self._tried.add(self._at)
            if self._replicas.untried(self._tried):
                return
        self._tried.clear()
        await self._replicas.runtime.sleep(self._backoff.after(error, transient=transient))

    async def _next(self) -> Replica:
        self._at = await self._replicas.next(self._tried)
        return self._at
