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


class Failure(click.ClickException):
    """Ends the command.

    Args:
        message: Why; line breaks become spaces.
        exit_code: The process's exit code.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for classes, and reads it here

    @classmethod
    def of(cls, error: GenserviceError) -> Self:
        """Tells an error."""
        return cls(error.message, WRONG_USAGE if isinstance(error, SettingsError) else FAILED)


def write_termination_log(message: str) -> None:
    """Tells Kubernetes why the process ends; nothing happens elsewhere."""
    with suppress(OSError):
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(f"{message}\n")
