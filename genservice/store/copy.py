"""Copies versions from store to store as they are, with their numbers."""

import errno
import shutil
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

from genservice.errors import StoreError
from genservice.store.files import PARTIAL, locked, regular_files, sync, writing
from genservice.store.labels import read_labels, write_labels
from genservice.store.publish import sweep
from genservice.store.store import ModelStore
from genservice.store.version import content_hash, verify


def copy_version(store: ModelStore, model: str, version: int, root: Path) -> bool:
    """Copies a version into a root, whole or not at all.

    Several processes may do so at once, and one that was cut off may do it again.

    Args:
        store: Has the version.
        model: Name of the model.
        version: Number of the version.
        root: Folder of models that gets it.

    Returns:
        Whether it was copied; False where the root has it already.

    Raises:
        IntegrityError: The version, or the one that the root has, is damaged.
        StoreError: The root cannot be written, or has another version of that number.
    """
    source = store.directory(model, version)
    target = root / model / str(version)
    if target.is_dir():
        return _has(target, source)
    with ExitStack() as stack:
        stack.enter_context(writing(target.parent))
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent):
            draft = target.parent / f".{version}.{token_hex(8)}{PARTIAL}"
            draft.mkdir()
            # Held to the end, it tells `sweep` that somebody still writes here.
            stack.enter_context(locked(draft))
        try:
            _copy_files(source, draft)
            verify(draft)
            return _rename(draft, target) or _has(target, source)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def copy_labels(store: ModelStore, model: str, root: Path) -> None:
    """Gives a model of the root the labels that it has in the store.

    Raises:
        StoreError: The root cannot be written, or the labels are damaged.
    """
    folder, labels = root / model, store.labels(model)
    if labels != read_labels(folder):
        with writing(folder), locked(folder):
            write_labels(folder, labels)


def sweep_root(root: Path, model: str) -> None:
    """Removes what was cut off in a model's folder, and nothing that is still being written."""
    if (folder := root / model).is_dir():
        with writing(folder):
            sweep(folder)


def _has(target: Path, source: Path) -> bool:
    if content_hash(target) != content_hash(source):
        raise StoreError(f"{target} is another version than {source}.")
    verify(target)
    return False


def _copy_files(source: Path, draft: Path) -> None:
    for name in regular_files(source):
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, path)
        path.chmod(0o444)
        sync(path)
        sync(path.parent)


def _rename(draft: Path, target: Path) -> bool:
    try:
        draft.rename(target)
    except OSError as refusal:
        # Another process was quicker: a rename replaces no folder that has files in it.
        if refusal.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    sync(target.parent)
    return True
