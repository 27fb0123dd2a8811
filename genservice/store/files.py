"""What the store does with files: list, hash, put on disk, lock."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genservice.errors import IntegrityError, StoreError
from genservice.store.manifest import FileEntry

PARTIAL = ".partial"
"""Suffix of what is being written; such names begin with a dot, so that nothing takes them for a version."""


def regular_files(folder: Path) -> list[str]:
    """Lists the files under a folder.

    Args:
        folder: A version's folder.

    Returns:
        Their paths inside the folder, with `/`, sorted.

    Raises:
        IntegrityError: There is a symbolic link, a device, a socket or a pipe: a link could lead out of the folder, and
            reading a pipe could wait for ever.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise IntegrityError(f"{path} is neither a file nor a folder; a version has no links in it.")
        found += [Path(parent, name).relative_to(folder).as_posix() for name in files]
    return sorted(found)


def file_entry(path: Path) -> FileEntry:
    """Size and hash of a file, read piece by piece."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=sha256, size_bytes=os.fstat(file.fileno()).st_size)


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keeps other processes out; the lock ends with the process, however that ends.

    Args:
        path: A folder or a file.
        wait: Whether to wait for whoever has the lock.

    Yields:
        Whether the lock was had.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an operating system's refusal to write into a StoreError."""
    try:
        yield
    except OSError as refusal:
        raise StoreError(f"{path} cannot be written: {refusal.strerror or refusal}.") from refusal
