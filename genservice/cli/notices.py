"""What libraries write to the standard error stream by themselves."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TextIO

import click

STDERR = 2


def quiet_tensorflow() -> None:
    """Keeps most of TensorFlow's notices away, unless the environment says otherwise; two at import have no setting."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextmanager
def errors_shown_on_failure() -> Iterator[TextIO]:
    """Holds back what goes to the standard error stream, and shows it if the block fails.

    TensorFlow writes past Python, so it is the file descriptor that is held back.

    Yields:
        What is held back, to be written to.
    """
    with TemporaryFile("w+", buffering=1) as held:
        sys.stderr.flush()
        shown = os.dup(STDERR)
        os.dup2(held.fileno(), STDERR)
        try:
            yield held
        except BaseException:
            os.dup2(shown, STDERR)
            held.seek(0)
            click.echo(held.read(), err=True, nl=False)
            raise
        finally:
            os.dup2(shown, STDERR)
            os.close(shown)
