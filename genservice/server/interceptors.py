"""What happens around every RPC: its end is logged and counted, errors become statuses, and it is known who calls."""

import asyncio
import inspect
import logging
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import grpc

from genservice.errors import GenserviceError
from genservice.server import caller, rpc
from genservice.server.status import abort_arguments
from genservice.server.writing import writing
from genservice.telemetry.logs import logger
from genservice.telemetry.metrics import Metrics

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""A method: takes the request, or an iterator of requests, and the context; returns the response, or writes several."""

SLOW_S = 1.0
"""Seconds from which on a call that went well is logged."""

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


class Interceptor(ABC):
    """Something that happens around every RPC."""

    @abstractmethod
    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""


class Intercepted:
    """A server to add services to, each method of which is wrapped once.

    gRPC's own interceptors are asked again for each call, through two coroutines each; that is a good part of what a
    small request costs.

    Args:
        server: Gets the services, whose methods are coroutines or asynchronous generators.
        interceptors: The outermost first.
        write_timeout_s: Seconds that a response of a stream waits for its client; 0: no limit.
    """

    def __init__(
        self, server: grpc.aio.Server, interceptors: Sequence[Interceptor], *, write_timeout_s: float = 0
    ) -> None:
        self._server = server
        self._interceptors = interceptors
        self._write_timeout_s = write_timeout_s

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Nothing: all methods of our services are registered."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the methods of a service."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)

    def _wrap(self, method: str, handler: Any) -> Any:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        if inspect.isasyncgenfunction(behaviour):
            behaviour = writing(behaviour, self._write_timeout_s)
        for interceptor in reversed(self._interceptors):
            behaviour = interceptor.around(method, behaviour)
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        serialize = handler.response_serializer
        if handler.response_streaming:
            serialize = _unless_bytes(serialize)
        return make(behaviour, handler.request_deserializer, serialize)


def _unless_bytes(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets a method stream what it has serialized already, so that a slow reader does not hold two forms of a chunk."""
    return lambda response: response if isinstance(response, bytes) else serialize(response)


class ErrorInterceptor(Interceptor):
    """Turns what a method raises into a status with details.

    A `GenserviceError` is for the client. Anything else is a fault of the server: the log has it whole, and the client
    gets a reference number and none of its text.
    """

    def __init__(self) -> None:
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
            return await context.abort(*abort_arguments(refusal))

        return call


class CallerInterceptor(Interceptor):
    """Finds out who calls, for `genservice.server.caller.flow_of`.

    Args:
        callers: Knows.
    """

    def __init__(self, callers: caller.Callers) -> None:
        self._callers = callers

    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""

        async def call(request: Any, context: Any) -> Any:
            caller.enter(self._callers, context)
            return await behaviour(request, context)

        return call


class LogInterceptor(Interceptor):
    """Counts each RPC when it has ended, logs it, and knows when none is under way.

    A unary call that went well is logged at the level `debug`, unless it was slow or the caller traces it.

    Args:
        metrics: What counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = logger("genservice.rpc")
        self._under_way = 0
        self._all_ended = asyncio.Event()

    async def all_ended(self) -> None:
        """Waits until no RPC is under way."""
        while self._under_way:
            self._all_ended.clear()
            await self._all_ended.wait()

    def around(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Wraps a method's behaviour."""
        quiet = method.startswith(_QUIET)

        async def call(request: Any, context: Any) -> Any:
            self._under_way += 1
            notes = rpc.begin()
            started = perf_counter()
            code, response = "UNKNOWN", None
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
                self._under_way -= 1
                if not self._under_way:
                    self._all_ended.set()
                seconds = perf_counter() - started
                self._metrics.rpc_ended(method, code, seconds)
                trace_id = _trace_id(context.invocation_metadata())
                # A line costs as much as a small request; of those that nobody looks for, the metrics tell enough.
                usual = response is not None and not trace_id and seconds < SLOW_S
                level = logging.ERROR if code in _FAULTS else logging.DEBUG if quiet or usual else logging.INFO
                if self._log.is_enabled_for(level):
                    self._log.log(
                        level,
                        "rpc",
                        method=method,
                        model=notes.model or _asked_model(request),
                        code=code,
                        rows=notes.rows,
                        seconds=round(seconds, 6),
                        peer=context.peer(),
                        trace_id=trace_id,
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
