"""What can go wrong, as one tree; no framework in it.

    GenserviceError
    ├── InvalidRequest            a field of the request is wrong
    │   └── OutOfRange            the field's value lies outside its range or limit
    ├── DrawsExhausted            as many samples as a filter may look at were drawn, and too few passed
    ├── NotFound                  no such model, version or label
    ├── VerbNotSupported          the model has no such verb
    ├── ModelNotReady             the version is known and not served now
    │   └── ModelFailed           and will not be before somebody mends it
    ├── ContentChanged            the version's content is not the one asked for
    ├── QueueFull                 come back later
    │   └── CallerLimit           the caller itself has taken its part of the room
    ├── QueueTimeout              the rows waited too long; come back later, or go to another replica
    ├── ServerDraining            come back later, or go to another replica
    ├── WriteTimeout              the client took no response for too long; what it lacks can be asked for again
    ├── DeadlineExceeded          the request's time is over
    │   └── DeadlineTooShort      it would be, before the rows are computed
    ├── WorkerLost                the worker that ran the rows is gone; they can run again
    ├── ModelError                the plugin's code raised; its text stays in the log
    ├── StoreError                a model store, a version or a label file is not as it should be
    │   ├── InvalidName           a name or a path is not safe
    │   └── IntegrityError        a file differs from the manifest's hash or size
    ├── PluginError               a plugin does not keep the contract
    ├── SettingsError             a setting is wrong; the process ends
    └── DataError                 a data set is missing or damaged

`reason` is stable and goes to clients in `google.rpc.ErrorInfo`; `genservice.server.status` maps each class to a gRPC
code.
"""

# ruff: noqa: N818 - the names say what is wrong, and `Error` would add nothing to most of them.

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import ClassVar


class GenserviceError(Exception):
    """The root of the tree.

    Args:
        message: What is wrong and what would be right, for people.
        field: Path of the request's field that is wrong, such as `options.label`; empty where none is.
        metadata: Facts for programs, as strings.
        retry_after_s: When another try may succeed, in seconds; None where it will not by itself.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s


class InvalidRequest(GenserviceError):
    """A field of the request is wrong."""

    reason = "INVALID_REQUEST"


class OutOfRange(InvalidRequest):
    """A field's value lies outside its range or over a limit."""

    reason = "OUT_OF_RANGE"


class DrawsExhausted(GenserviceError):
    """As many samples as a filter may look at were drawn, and too few passed; `metadata` has the numbers."""

    reason = "DRAWS_EXHAUSTED"


class NotFound(GenserviceError):
    """No such model, version or label."""

    reason = "NOT_FOUND"


class VerbNotSupported(GenserviceError):
    """The model does not have the verb; `metadata["verbs"]` lists those it has."""

    reason = "VERB_NOT_SUPPORTED"


class ModelNotReady(GenserviceError):
    """The version is known, and not served now."""

    reason = "MODEL_NOT_READY"


class ModelFailed(ModelNotReady):
    """The version could not be loaded; the message says why."""

    reason = "MODEL_FAILED"


class ContentChanged(GenserviceError):
    """The version's content hash is not the one that the request is pinned to."""

    reason = "CONTENT_CHANGED"


class QueueFull(GenserviceError):
    """The queue has no room for the request's rows."""

    reason = "QUEUE_FULL"


class CallerLimit(QueueFull):
    """There is room, but not for more of this caller; `metadata` has what it holds, and its limit at this moment."""

    reason = "CALLER_LIMIT"


class QueueTimeout(GenserviceError):
    """The rows waited for longer than a row may; none of them is computed any more."""

    reason = "QUEUE_TIMEOUT"


class ServerDraining(GenserviceError):
    """The server is shutting down and takes nothing new; of a draw that it ended, `next_index` is not drawn yet."""

    reason = "SERVER_DRAINING"


class WriteTimeout(GenserviceError):
    """The client took no response for too long; of a draw in order, `next_index` was not sent."""

    reason = "WRITE_TIMEOUT"


class DeadlineExceeded(GenserviceError):
    """The request's deadline passed before its rows were computed."""

    reason = "DEADLINE_EXCEEDED"


class DeadlineTooShort(DeadlineExceeded):
    """By what was measured, the deadline would pass before the rows are computed; refused before they are queued."""

    reason = "DEADLINE_TOO_SHORT"


class WorkerLost(GenserviceError):
    """The worker that ran the rows died or was killed; the rows can run again."""

    reason = "WORKER_LOST"


class ModelError(GenserviceError):
    """The model's code raised. The exception is in the log under `metadata["reference"]`."""

    reason = "MODEL_ERROR"


class StoreError(GenserviceError):
    """A model store, a version or a file of labels is not as it should be."""

    reason = "STORE_ERROR"


class InvalidName(StoreError):
    """A name or a path is not safe."""

    reason = "INVALID_NAME"


class IntegrityError(StoreError):
    """A file of a version differs from its manifest."""

    reason = "INTEGRITY_ERROR"


class PluginError(GenserviceError):
    """A plugin does not keep the contract."""

    reason = "PLUGIN_ERROR"


class SettingsError(GenserviceError):
    """A setting is wrong."""

    reason = "SETTINGS_ERROR"


class DataError(GenserviceError):
    """A data set is missing or damaged."""

    reason = "DATA_ERROR"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Says what a mistyped name may have meant.

    Args:
        name: What was given.
        known: What there is.

    Returns:
        ` Did you mean 'sneaker'?`, or ` There are: 'a', 'b'.` where nothing is near, or ` There are none.`
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    if not names:
        return " There are none."
    return f" There are: {', '.join(map(repr, names[:20]))}."
