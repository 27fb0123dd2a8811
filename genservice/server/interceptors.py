"""The two things that happen around every RPC: errors become statuses, and its end is logged and counted."""

import asyncio
import inspect
import re
import secrets
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any

import grpc

from genservice.errors import GenserviceError
from genservice.server import rpc
from genservice.server.status import DETAILS_KEY, code_of, status_of
from genservice.telemetry.logs import logger
from genservice.telemetry.metrics import Metrics

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""A method: takes the request, or an iterator of requests, and the context; returns the response, or writes several."""

_MOST_MODEL_CHARS = 200
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_QUIET = ("/grpc.health.", "/grpc.reflection.")
_FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class _Interceptor(grpc.aio.ServerInterceptor):
    """Wraps the handler of each method once, not once a call: there are only as many as there are methods."""

    def __init__(self) -> None:
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Gives the wrapped handler of a method; None where there is no such method."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    @abstractmethod
    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""

    def _wrap(self, method: str, handler: Any) -> Any:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        if inspect.isasyncgenfunction(behaviour):
            behaviour = _writing(behaviour)
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        serialize = handler.response_serializer
        if handler.response_streaming:
            serialize = _unless_bytes(serialize)
        return make(self.around(method, behaviour), handler.request_deserializer, serialize)


def _writing(generate: Callable[[Any, Any], Any]) -> Behaviour:
    """Makes a generator of responses a coroutine that writes them, and closes the generator when the client has gone.

    gRPC itself leaves a generator to the garbage collector.
    """

    async def write(request: Any, context: Any) -> None:
        async with aclosing(generate(request, context)) as responses:
            async for response in responses:
                await context.write(response)
                # Not held while the next one is made.
                del response

    return write


def _unless_bytes(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets a method stream what it has serialized already, so that a slow reader does not hold two forms of a chunk."""
    return lambda response: response if isinstance(response, bytes) else serialize(response)


class ErrorInterceptor(_Interceptor):
    """Turns what a method raises into a status with details.

    A `GenserviceError` is for the client. Anything else is a fault of the server: the log has it whole, and the client
    gets a reference number and none of its text.
    """

    def __init__(self) -> None:
        super().__init__()
        self._log = logger("genservice.rpc")

    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""

        async def call(request: Any, context: Any) -> Any:
            try:
                return await behaviour(request, context)
            except GenserviceError as error:
                refusal = error
            except grpc.aio.InternalError as gone:
                # A write failed, so the client has gone; gRPC would log that as an error of the server.
                raise asyncio.CancelledError from gone
            except grpc.aio.BaseError:
                # The method has ended the RPC itself.
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told the same
                reference = secrets.token_hex(6)
                self._log.error("rpc raised", method=method, reference=reference, exc_info=error)
                refusal = GenserviceError(
                    f"The server failed. The log has the reason under {reference}.", metadata={"reference": reference}
                )
            status = status_of(refusal)
            return await context.abort(code_of(refusal), status.message, ((DETAILS_KEY, status.SerializeToString()),))

        return call


class LogInterceptor(_Interceptor):
    """Logs and counts each RPC when it has ended.

    Args:
        metrics: What counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics
        self._log = logger("genservice.rpc")

    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""
        quiet = method.startswith(_QUIET)

        async def call(request: Any, context: Any) -> Any:
            notes = rpc.begin()
            started = perf_counter()
            code = "UNKNOWN"
            try:
                response = await behaviour(request, context)
                code = "OK"
                return response
            except asyncio.CancelledError:
                code = "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
                raise
            except grpc.aio.AbortError:
                code = context.code().name
                raise
            finally:
                seconds = perf_counter() - started
                self._metrics.rpc_ended(method, code, seconds)
                write = self._log.error if code in _FAULTS else self._log.debug if quiet else self._log.info
                write(
                    "rpc",
                    method=method,
                    model=notes.model or _asked_model(request),
                    code=code,
                    rows=notes.rows,
                    seconds=round(seconds, 6),
                    peer=context.peer(),
                    trace_id=_trace_id(context.invocation_metadata()),
                    message=context.details() or "",
                )

        return call


def _asked_model(request: Any) -> str:
    name = getattr(request, "model", "") or getattr(request, "name", "")
    return str(name)[:_MOST_MODEL_CHARS]


def _trace_id(metadata: Any) -> str:
    """The trace of a W3C `traceparent`; empty where there is none."""
    for key, value in metadata or ():
        if key == "traceparent" and isinstance(value, str):
            match = _TRACEPARENT.fullmatch(value)
            return match[1] if match else ""
    return ""
