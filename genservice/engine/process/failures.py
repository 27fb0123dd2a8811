"""Exceptions that cross from the worker to the server."""

import traceback

from genservice import errors
from genservice.engine.process.messages import Failure
from genservice.errors import GenserviceError

MOST_CHARACTERS = 1 << 16
"""Of a message or a traceback; what is longer loses its middle."""

_CLASSES: dict[str, type[GenserviceError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, GenserviceError)
}


class RemoteError(Exception):
    """The model's code raised in the worker process; the text, for the log, has the traceback there."""


def to_failure(error: BaseException) -> Failure:
    """Describes an exception."""
    if isinstance(error, GenserviceError):
        kind = next(base.__name__ for base in type(error).__mro__ if _CLASSES.get(base.__name__) is base)
        return Failure(
            kind, True, _bounded(error.message), error.field, error.metadata, error.retry_after_s, _trace(error)
        )
    return Failure(type(error).__qualname__, False, _bounded(str(error)), traceback=_trace(error))


def to_error(failure: Failure) -> Exception:
    """Makes an exception of its description: of its own class where that is one of genservice's."""
    if not failure.known:
        return RemoteError(f"{failure.kind}: {failure.message}\n\nIn the worker process:\n{failure.traceback}")
    return to_refusal(failure)


def to_refusal(failure: Failure) -> GenserviceError:
    """Makes an exception of the description of one of genservice's."""
    error = _CLASSES[failure.kind](
        failure.message, field=failure.field, metadata=failure.metadata, retry_after_s=failure.retry_after_s
    )
    error.add_note(f"In the worker process:\n{failure.traceback}")
    return error


def _trace(error: BaseException) -> str:
    return _bounded("".join(traceback.format_exception(error)))


def _bounded(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 2]}\n...\n{text[-MOST_CHARACTERS // 2 :]}"
    return text.encode("utf-8", "replace").decode()
