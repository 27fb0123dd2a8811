"""Errors as people see them: one line, and an exit code."""

from contextlib import suppress
from pathlib import Path
from typing import Self

import click

from genservice.errors import GenserviceError, SettingsError

FAILED = 1
WRONG_USAGE = 2
TERMINATION_LOG = Path("/dev/termination-log")
"""File whose content Kubernetes shows as the reason why a container ended."""
MESSAGE_BYTES = 4096
"""So much Kubernetes reads of it, from its end."""


class Failure(click.ClickException):
    """Ends the command.

    Args:
        message: Why; line breaks become spaces.
        exit_code: The process's exit code.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(one_line(message))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for classes, and reads it here

    @classmethod
    def of(cls, error: GenserviceError) -> Self:
        """Tells an error."""
        return cls(error.message, WRONG_USAGE if isinstance(error, SettingsError) else FAILED)


def one_line(message: str) -> str:
    """The message with a space in place of every stretch of white space, line breaks among it."""
    return " ".join(message.split())


def write_termination_log(message: str) -> None:
    """Tells Kubernetes why the process ends; nothing happens elsewhere.

    Args:
        message: Why. It becomes one line, and is cut off where Kubernetes would cut off its beginning.
    """
    line = one_line(message).encode(errors="backslashreplace")
    if len(line) >= MESSAGE_BYTES:
        end = "…".encode()
        line = line[: MESSAGE_BYTES - len(end) - 1].decode(errors="ignore").encode() + end
    with suppress(OSError):
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_bytes(line + b"\n")
