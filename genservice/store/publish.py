"""Makes a version: written beside the others under a hidden name, then given its number by one atomic rename."""

import errno
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

import tomli_w

from genservice.errors import StoreError
from genservice.store.files import PARTIAL, file_entry, locked, regular_files, sync, writing
from genservice.store.manifest import FORMAT, Manifest
from genservice.store.names import check_file
from genservice.store.version import MANIFEST

Build = Callable[[Path], Manifest]
"""Writes a version's files into an empty folder, and returns its manifest without `files`."""


def publish(folder: Path, build: Build, next_version: Callable[[], int]) -> int:
    """Adds a version to a model.

    Args:
        folder: The model's folder; made where absent.
        build: Writes the files.
        next_version: The number after the greatest that is taken.

    Returns:
        The version's number.

    Raises:
        StoreError: The folder cannot be written, or `build` made what a version cannot hold.
    """
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            sync(folder.parent)
            with locked(folder):
                draft = folder / f".{next_version()}.{token_hex(8)}{PARTIAL}"
                draft.mkdir()
                # Held to the end, it tells `sweep` that somebody still writes here.
                stack.enter_context(locked(draft))
        try:
            manifest = build(draft)
            with writing(draft):
                _seal(draft, manifest)
            with writing(folder):
                return _number(draft, next_version)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _seal(draft: Path, manifest: Manifest) -> None:
    names = regular_files(draft)
    if MANIFEST in names:
        raise StoreError(f"{MANIFEST} is written by the store, not by the model's family.")
    entries = {check_file(name): file_entry(draft / name) for name in names}
    content = manifest.model_copy(update={"format": FORMAT, "files": entries}).model_dump()
    try:
        (draft / MANIFEST).write_bytes(tomli_w.dumps(content).encode())
    except (TypeError, ValueError) as fault:
        raise StoreError(f"The version's config cannot be written as TOML: {fault}") from fault
    for name in [*names, MANIFEST]:
        path = draft / name
        path.chmod(0o444)
        sync(path)
    for inner in {parent for name in names for parent in (draft / name).parents if parent.is_relative_to(draft)}:
        sync(inner)
    sync(draft)


def _number(draft: Path, next_version: Callable[[], int]) -> int:
    while True:
        version = next_version()
        try:
            draft.rename(draft.parent / str(version))
        except OSError as refusal:
            # Another process has just taken the number: a rename replaces no folder that has files in it.
            if refusal.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            sync(draft.parent)
            return version


def sweep(folder: Path) -> list[Path]:
    """Removes what crashed writers left in a model's folder, and nothing that is still being written.

    Args:
        folder: The model's folder.

    Returns:
        The paths that were removed.
    """
    removed = []
    with locked(folder):
        for path in sorted(folder.glob(f".*{PARTIAL}")):
            with locked(path, wait=False) as abandoned:
                if not abandoned:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed.append(path)
    return removed
