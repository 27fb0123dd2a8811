"""What a bulk job does with files: each is there as a whole or not at all, whatever dies in between."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genservice.bulk.errors import BulkError
from genservice.store.files import PARTIAL, sync

LOCK = ".lock"


@contextmanager
def accessing(path: Path, verb: str = "written") -> Iterator[None]:
    """Turns an operating system's refusal, such as that of a full disk, into a BulkError.

    Args:
        path: What is accessed.
        verb: What cannot be done with it.
    """
    try:
        yield
    except OSError as refusal:
        raise BulkError(f"{path} cannot be {verb}: {refusal.strerror or refusal}.") from refusal


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file into its place in one step, and waits until it is on the disk.

    Args:
        path: The file; one that is there is replaced. Only one process writes it at a time.
        content: Its bytes.

    Raises:
        BulkError: It cannot be written; what was there still is.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with accessing(path), _written(partial, content):
        partial.replace(path)
        sync(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Makes a file in one step, unless it is there; of several processes that try, one does it.

    Args:
        path: The file.
        content: Its bytes.

    Returns:
        Whether this made it.

    Raises:
        BulkError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    with accessing(path), _written(partial, content):
        try:
            # Unlike a rename, a link never takes the place of what is there.
            path.hardlink_to(partial)
        except FileExistsError:
            return False
        sync(path.parent)
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; the lock ends with the process, however that ends.

    Args:
        folder: The folder; it is made where there is none.

    Raises:
        BulkError: Another process has it, or the volume has no locks.
    """
    # A file that is opened for writing, since NFS locks nothing else.
    with accessing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            with accessing(folder, "locked"):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BulkError as fault:
            if isinstance(fault.__cause__, BlockingIOError):
                raise BulkError(f"{folder} is being written by another process.") from fault
            raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _written(partial: Path, content: bytes) -> Iterator[None]:
    """Has a file on the disk, and takes it away where it has not been renamed."""
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield
    finally:
        partial.unlink(missing_ok=True)
