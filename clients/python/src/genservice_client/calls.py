"""Unary calls, with retries."""

from __future__ import annotations

from typing import TypeVar

import grpc

from genservice_client.errors import GenserviceClientError
from genservice_client.retry import Backoff, Deadline
from genservice_client.transport import Transport

Request = TypeVar("Request")
Response = TypeVar("Response")


class Calls:
    """Makes the calls of one service over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._endpoint = transport.endpoint

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self._endpoint.timeout_s if timeout_s is None else timeout_s, self._endpoint.clock)

    async def _call(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, deadline: Deadline
    ) -> Response:
        backoff = Backoff(self._endpoint.retry, deadline, self._endpoint.clock)
        while True:
            try:
                return await self._transport.unary(method, request, deadline.left_s())
            except GenserviceClientError as error:
                wait_s = backoff.after(error)
            await self._transport.sleep(wait_s)
