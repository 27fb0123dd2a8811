"""What can go wrong, as one tree.

    GenserviceClientError
    ├── StatusError                       the server, or gRPC itself, refused or broke a call
    │   ├── CancelledError                ├── AlreadyExistsError          ├── UnimplementedError
    │   ├── UnknownError                  ├── PermissionDeniedError       ├── InternalError
    │   ├── InvalidArgumentError          ├── ResourceExhaustedError      ├── UnavailableError
    │   ├── DeadlineExceededError         ├── FailedPreconditionError     ├── DataLossError
    │   └── NotFoundError                 ├── AbortedError                └── UnauthenticatedError
    │                                     └── OutOfRangeError
    │   of DeadlineExceededError:           DeadlineTooShortError
    │   of OutOfRangeError:                 DrawsExhaustedError
    │   of ResourceExhaustedError:          CallerLimitError, QueueFullError
    ├── ProtocolError                     the server's messages do not fit together
    ├── StreamChangedError                a stream came back as another one: other version, content or seed
    │   └── NumericsChangedError          the same version, on a replica whose bits differ
    └── ClientClosedError                 the client was closed

Wrong arguments are found before a call and raise TypeError or ValueError, as everywhere in Python.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import grpc

if TYPE_CHECKING:
    from genservice_client.samples import Samples


class GenserviceClientError(Exception):
    """The root of the tree.

    Args:
        message: What is wrong, for people.

    Attributes:
        message: The same.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class StatusError(GenserviceClientError):
    """A call ended with a status other than OK.

    Args:
        message: What is wrong, for people.
        reason: Stable name of the cause, such as `QUEUE_FULL`; empty where the server gave none.
        metadata: Facts about the cause, for programs.
        field_violations: Pairs of a field of the request, such as `options.label`, and what is wrong with it.
        retry_after_s: When another try may succeed, in seconds; None where the server does not say.

    Attributes:
        code: The gRPC status code of the class.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Sequence[tuple[str, str]] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        self.retry_after_s = retry_after_s

    @property
    def field(self) -> str:
        """The first field of the request that is wrong; empty where none is."""
        return self.field_violations[0][0] if self.field_violations else ""


class CancelledError(StatusError):
    """The call was cancelled, by this side or the other."""

    code = grpc.StatusCode.CANCELLED


class UnknownError(StatusError):
    """The other side broke without saying how."""

    code = grpc.StatusCode.UNKNOWN


class InvalidArgumentError(StatusError):
    """A field of the request is wrong; `field` names it."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceededError(StatusError):
    """The time for the call was over."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class DeadlineTooShortError(DeadlineExceededError):
    """The time for the call would not be enough, by what the server has measured; nothing was begun."""

    @property
    def estimate_s(self) -> float | None:
        """Seconds that the server expects the call to take; None where it does not say."""
        try:
            return float(self.metadata["estimate_seconds"])
        except (KeyError, ValueError):
            return None


class NotFoundError(StatusError):
    """There is no such model, version or label."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(StatusError):
    """What was to be made exists."""

    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDeniedError(StatusError):
    """The caller is known and may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhaustedError(StatusError):
    """A queue, a quota or a message's size is at its limit."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class CallerLimitError(ResourceExhaustedError):
    """This caller has as many rows or bytes under way as one caller may have; others are still served."""


class QueueFullError(ResourceExhaustedError):
    """The server's queue is full, whoever asks."""


class FailedPreconditionError(StatusError):
    """The model is not in a state to answer this."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class AbortedError(StatusError):
    """The server ended the call half-way; it can be made again for what is left."""

    code = grpc.StatusCode.ABORTED


class OutOfRangeError(StatusError):
    """A field's value lies outside its range."""

    code = grpc.StatusCode.OUT_OF_RANGE


class DrawsExhaustedError(OutOfRangeError):
    """A filter let fewer samples pass than were asked for, of all that might be drawn.

    Attributes:
        samples: What passed, where `all` collected it. None where nothing passed, and where the stream was read in
            another way: then it was given out before.
    """

    samples: "Samples | None" = None

    @property
    def sample_count(self) -> int:
        """Samples that passed."""
        return int(self.metadata["sample_count"])

    @property
    def draw_count(self) -> int:
        """Samples that were drawn."""
        return int(self.metadata["draw_count"])

    @property
    def next_index(self) -> int:
        """Where another draw may go on: the first index that was not drawn."""
        return int(self.metadata["next_index"])


class UnimplementedError(StatusError):
    """The model or the server has no such verb."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(StatusError):
    """The server or the model broke; `metadata["reference"]` finds the cause in the server's log."""

    code = grpc.StatusCode.INTERNAL


class UnavailableError(StatusError):
    """No server could be reached, or it is shutting down."""

    code = grpc.StatusCode.UNAVAILABLE


class DataLossError(StatusError):
    """What the server holds is damaged."""

    code = grpc.StatusCode.DATA_LOSS


class UnauthenticatedError(StatusError):
    """The caller did not prove who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED


class ProtocolError(GenserviceClientError):
    """The server's messages do not fit together, or a stream ended before all was sent."""


class StreamChangedError(GenserviceClientError):
    """A stream was cut, and what answers now has another version, content or seed."""


class NumericsChangedError(StreamChangedError):
    """A stream that promises equal bits was cut, and the replica that answers now computes other bits."""


class ClientClosedError(GenserviceClientError):
    """The client was closed; make a new one."""
