"""How errors look on the wire: the one table of gRPC codes, and `google.rpc` details."""

from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from genservice import errors

DOMAIN = "genservice"
DETAILS_KEY = "grpc-status-details-bin"

MOST_TEXT_BYTES = 1024
"""Most bytes of a message: clients refuse trailing metadata of more than 8 KiB, and the text is in there twice."""
MOST_VALUE_BYTES = 200
"""Most bytes of a field's path and of each fact."""

CODES: Mapping[type[errors.GenserviceError], grpc.StatusCode] = {
    errors.GenserviceError: grpc.StatusCode.INTERNAL,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.DrawsExhausted: grpc.StatusCode.OUT_OF_RANGE,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.VerbNotSupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    errors.ModelFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ContentChanged: grpc.StatusCode.FAILED_PRECONDITION,
    errors.QueueFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CallerLimit: grpc.StatusCode.RESOURCE_EXHAUSTED,
    # Another replica may have the time.
    errors.QueueTimeout: grpc.StatusCode.UNAVAILABLE,
    errors.ServerDraining: grpc.StatusCode.UNAVAILABLE,
    # Not the call is to be made again, but one for what is left.
    errors.WriteTimeout: grpc.StatusCode.ABORTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.DeadlineTooShort: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.WorkerLost: grpc.StatusCode.UNAVAILABLE,
    errors.ModelError: grpc.StatusCode.INTERNAL,
    errors.StoreError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.InvalidName: grpc.StatusCode.INVALID_ARGUMENT,
    errors.IntegrityError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PluginError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SettingsError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DataError: grpc.StatusCode.FAILED_PRECONDITION,
}


def code_of(error: errors.GenserviceError) -> grpc.StatusCode:
    """The gRPC code of an error: that of its class, or of the nearest class above."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def status_of(error: errors.GenserviceError) -> Status:
    """The whole of an error as `google.rpc.Status`.

    Args:
        error: What went wrong.

    Returns:
        Code, message, ErrorInfo, and BadRequest and RetryInfo where the error has a field and a time to come back.
    """
    message = _cut(error.message, MOST_TEXT_BYTES)
    status = Status(code=code_of(error).value[0], message=message)
    facts = {key: _cut(value, MOST_VALUE_BYTES) for key, value in error.metadata.items()}
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts))
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(error.field, MOST_VALUE_BYTES), description=message, reason=error.reason
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def abort_arguments(error: errors.GenserviceError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes]]]:
    """What gRPC's `abort` takes, to end an RPC with an error: code, message and trailing metadata."""
    status = status_of(error)
    return code_of(error), status.message, ((DETAILS_KEY, status.SerializeToString()),)


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    return encoded[: most_bytes - len("…".encode())].decode(errors="ignore") + "…"
