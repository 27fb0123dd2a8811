"""From a gRPC status to a typed error."""

import re
from collections.abc import Iterable
from typing import TypedDict

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from genservice_client import errors

ERROR_CLASSES: dict[grpc.StatusCode, type[errors.StatusError]] = {
    error_class.code: error_class
    for error_class in (
        errors.CancelledError,
        errors.UnknownError,
        errors.InvalidArgumentError,
        errors.DeadlineExceededError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.FailedPreconditionError,
        errors.AbortedError,
        errors.OutOfRangeError,
        errors.UnimplementedError,
        errors.InternalError,
        errors.UnavailableError,
        errors.DataLossError,
        errors.UnauthenticatedError,
    )
}

REASON_CLASSES: dict[str, type[errors.StatusError]] = {
    "CALLER_LIMIT": errors.CallerLimitError,
    "DEADLINE_TOO_SHORT": errors.DeadlineTooShortError,
    "DRAWS_EXHAUSTED": errors.DrawsExhaustedError,
    "QUEUE_FULL": errors.QueueFullError,
}
"""Causes that callers tell apart: each a subclass of the class of the code that it comes with."""

_DETAILS_KEY = "grpc-status-details-bin"

# What gRPC writes when the connection or the HTTP/2 stream breaks under a call and it finds no better code. The last is
# grpc.aio's, when a call ends while a request is being written; the status that it ended with is lost.
_BROKEN_TRANSPORT = re.compile(
    r"rst_stream|stream (removed|terminated|closed)|connection (reset|closed)|socket closed|broken pipe|goaway"
    r"|internal error from core",
    re.IGNORECASE,
)
_OVERSIZED_MESSAGE = re.compile(r"message (is )?larger than max", re.IGNORECASE)


def error_from(rpc_error: grpc.RpcError) -> errors.StatusError:
    """Makes the typed error of a call that failed.

    Args:
        rpc_error: What grpc or grpc.aio raised.

    Returns:
        An error of the class of its reason or its code, with the details of `grpc-status-details-bin`.
    """
    error_class = ERROR_CLASSES.get(rpc_error.code(), errors.UnknownError)
    # grpc leaves the metadata None where the call never reached a server.
    pairs: Iterable[tuple[str, str | bytes]] = rpc_error.trailing_metadata() or ()  # type: ignore[assignment]
    message = rpc_error.details() or error_class.code.name
    details = _Details()
    for key, value in pairs:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            details = _details(value)
    by_reason = REASON_CLASSES.get(details.get("reason", ""), error_class)
    return (by_reason if issubclass(by_reason, error_class) else error_class)(message, **details)


class _Details(TypedDict, total=False):
    reason: str
    metadata: dict[str, str]
    field_violations: tuple[tuple[str, str], ...]
    retry_after_s: float


def _details(encoded_status: bytes) -> _Details:
    found = _Details()
    try:
        details = status_pb2.Status.FromString(encoded_status).details
    except DecodeError:
        return found
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(info):
            found["reason"] = info.reason
            found["metadata"] = dict(info.metadata)
        elif detail.Unpack(bad_request):
            found["field_violations"] = tuple((item.field, item.description) for item in bad_request.field_violations)
        elif detail.Unpack(retry):
            found["retry_after_s"] = retry.retry_delay.ToNanoseconds() / 1e9
    return found


def is_replicas_own(error: errors.GenserviceClientError) -> bool:
    """Says whether a request for one content of one version may succeed at another replica, whatever this one said.

    A replica may lack the version, for now or for good, have another content under its number, or have failed to load
    it.
    """
    match error:
        case errors.NotFoundError():
            return True
        case errors.FailedPreconditionError(reason="CONTENT_CHANGED" | "MODEL_FAILED"):
            return True
        case _:
            return False


def is_transient(error: errors.GenserviceClientError) -> bool:
    """Says whether the same call may succeed when it is made again.

    Every verb is a pure function of its request, so a call that broke half-way is safe to repeat. An error with a
    reason is the server's own word: of those only the ones that say when to come back, or UNAVAILABLE, are repeated.
    """
    match error:
        case errors.ProtocolError() | errors.NumericsChangedError():
            return True
        case errors.StatusError(retry_after_s=float()) | errors.UnavailableError():
            return True
        case errors.ResourceExhaustedError():
            return not _OVERSIZED_MESSAGE.search(error.message)
        case errors.CancelledError():
            return not error.reason
        case errors.InternalError() | errors.UnknownError():
            return not error.reason and bool(_BROKEN_TRANSPORT.search(error.message))
        case _:
            return False
