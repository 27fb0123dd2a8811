"""One version on disk: its manifest, its content hash, its integrity."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pydantic

from genservice.errors import IntegrityError, StoreError
from genservice.store.files import file_entry, regular_files
from genservice.store.manifest import FORMAT, Manifest
from genservice.store.names import check_file

MANIFEST = "model.toml"


def read_manifest(folder: Path) -> Manifest:
    """Reads what a version is.

    Args:
        folder: The version's folder.

    Raises:
        IntegrityError: `model.toml` is missing or damaged.
        StoreError: A newer release of genservice wrote it.
        InvalidName: It lists a file whose path is not safe.
    """
    path = folder / MANIFEST
    content = _parse(path)
    written = content.get("format", FORMAT)
    if isinstance(written, int) and written > FORMAT:
        raise StoreError(f"{path} has the format {written}, and this release of genservice reads up to {FORMAT}.")
    try:
        manifest = Manifest.model_validate(content)
    except pydantic.ValidationError as invalid:
        first = invalid.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise IntegrityError(f"{path}: {key}: {first['msg']}.") from invalid
    for name in manifest.files:
        check_file(name)
    return manifest


def content_hash(folder: Path) -> str:
    """SHA-256 of `model.toml`, in hexadecimal; as that has the hashes of all other files, it stands for the version."""
    return hashlib.sha256(_read(folder / MANIFEST)).hexdigest()


def verify(folder: Path) -> Manifest:
    """Checks that a version's files are those that its manifest lists.

    Args:
        folder: The version's folder.

    Returns:
        The manifest.

    Raises:
        IntegrityError: A file is missing, is not listed, or has another size or hash.
    """
    manifest = read_manifest(folder)
    found = set(regular_files(folder)) - {MANIFEST}
    if missing := sorted(manifest.files.keys() - found):
        raise IntegrityError(f"{folder} lacks {', '.join(missing)}.")
    if extra := sorted(found - manifest.files.keys()):
        raise IntegrityError(f"{folder} has {', '.join(extra)}, which its {MANIFEST} does not list.")
    for name, entry in manifest.files.items():
        path = folder / name
        if (size_bytes := path.stat().st_size) != entry.size_bytes:
            raise IntegrityError(f"{path} has {size_bytes} bytes, and its {MANIFEST} says {entry.size_bytes}.")
        if file_entry(path) != entry:
            raise IntegrityError(f"{path} has another SHA-256 than its {MANIFEST} says.")
    return manifest


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path).decode())
    except (ValueError, RecursionError) as fault:
        raise IntegrityError(f"{path} is not TOML: {fault}.") from fault


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise IntegrityError(f"{path} cannot be read: {fault.strerror}.") from fault
