from collections.abc import Callable
from pathlib import Path

import pytest

from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore


def manifest(**changes) -> Manifest:
    return Manifest(**{"family": "coin", "plugin": "genservice-coin", "plugin_version": "1.0"} | changes)


def writes(files: dict[str, bytes], **changes) -> Callable[[Path], Manifest]:
    """A build that writes the given files."""

    def build(folder: Path) -> Manifest:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return manifest(**changes)

    return build


@pytest.fixture
def make_manifest():
    return manifest


@pytest.fixture
def build():
    return writes


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root) -> ModelStore:
    return ModelStore([root])
