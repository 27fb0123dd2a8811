"""Unary calls, with retries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import grpc

from genservice_client.endpoint import Priority
from genservice_client.replicas import Replicas
from genservice_client.retry import Deadline
from genservice_client.route import Route
from genservice_client.transport import Runtime, Stubs

Request = TypeVar("Request")
Response = TypeVar("Response")
Method: TypeAlias = "Callable[[Stubs], grpc.UnaryUnaryMultiCallable[Request, Response]]"
"""Gives a method of the services on a channel."""


class Calls:
    """Makes calls to the replicas of a service."""

    def __init__(self, runtime: Runtime) -> None:
        self._replicas = Replicas(runtime)
        self._endpoint = runtime.endpoint

    async def close(self) -> None:
        """Ends all calls and closes the connections."""
        await self._replicas.close()

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self._endpoint.timeout_s if timeout_s is None else timeout_s, self._endpoint.clock)

    def _route(self, timeout_s: float | None, priority: Priority | None) -> Route:
        return Route(self._replicas, self._deadline(timeout_s), priority)

    async def _call(
        self, method: Method[Request, Response], request: Request, deadline: Deadline, *, pinned: bool = False
    ) -> Response:
        return await Route(self._replicas, deadline).unary(method, request, pinned=pinned)
