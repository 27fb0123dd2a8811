"""The model store on a file system.

root/<model>/<number>/model.toml     what the version is; the version's other files are beside it
root/<model>/labels.toml             `stable = 3`
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from genservice.errors import InvalidName, NotFound, StoreError, suggestion
from genservice.store import labels as labels_file
from genservice.store import publish as publishing
from genservice.store import version as versions_folder
from genservice.store.files import locked, writing
from genservice.store.manifest import Manifest
from genservice.store.names import check_name, is_safe, parse_version


class ModelStore:
    """Models and their versions in several roots, seen as one store.

    A version is immutable: it appears whole and is never changed. A model that is in two roots is taken from the first
    of them, with all its versions and labels.

    Args:
        roots: Folders; those that do not exist are empty. Only the first is ever written.

    Raises:
        StoreError: There is no root.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        if not roots:
            raise StoreError("A model store needs at least one folder.")
        self._roots = tuple(roots)

    def models(self) -> list[str]:
        """Names of the models that have a version, sorted."""
        return sorted({folder.name for folder in self._folders()})

    def problems(self) -> list[str]:
        """What somebody should look at, a line each: models hidden by another root's, and folders that are useless."""
        seen: dict[str, Path] = {}
        problems = []
        for folder in self._folders():
            first = seen.setdefault(folder.name, folder)
            if first != folder:
                problems.append(f"{folder} is hidden by {first}, which has the same name.")
        useless = (path for path in self._entries() if not _is_usable(path))
        return problems + [f"{path} is passed over: it leads out of its root or cannot be read." for path in useless]

    def versions(self, model: str) -> list[int]:
        """Numbers of a model's versions, ascending.

        Raises:
            InvalidName: The name is not safe.
            NotFound: There is no such model.
        """
        return _numbers(self._folder(model))

    def directory(self, model: str, version: int) -> Path:
        """The folder of a version.

        Raises:
            InvalidName: The name is not safe.
            NotFound: There is no such model or version.
        """
        folder = self._folder(model)
        numbers = _numbers(folder)
        if version not in numbers:
            known = suggestion("", map(str, numbers))
            raise NotFound(f"The model {model!r} has no version {version}.{known}")
        return folder / str(version)

    def manifest(self, model: str, version: int) -> Manifest:
        """What a version is.

        Raises:
            IntegrityError: Its `model.toml` is damaged.
            StoreError: A newer release wrote it.
        """
        return versions_folder.read_manifest(self.directory(model, version))

    def content_hash(self, model: str, version: int) -> str:
        """SHA-256 of a version's `model.toml`, in hexadecimal."""
        return versions_folder.content_hash(self.directory(model, version))

    def verify(self, model: str, version: int) -> Manifest:
        """Checks size and hash of each file of a version, and that there is no other.

        Returns:
            The manifest that the files were checked against.

        Raises:
            IntegrityError: A file is missing, is not listed, or differs.
        """
        return versions_folder.verify(self.directory(model, version))

    def labels(self, model: str) -> dict[str, int]:
        """Numbers of versions by label.

        Raises:
            StoreError: `labels.toml` is damaged.
        """
        return labels_file.read_labels(self._folder(model))

    def set_label(self, model: str, label: str, version: int | None) -> None:
        """Points a label to a version, or removes it; readers see the old labels or the new ones.

        Args:
            model: Name of the model.
            label: Name of the label.
            version: Number of a version; None removes the label, if there is one.

        Raises:
            InvalidName: A name is not safe.
            NotFound: There is no such model or version.
            StoreError: The model is not in the first root, or that cannot be written.
        """
        check_name(label, "label")
        folder = self._folder(model)
        if folder.parent != self._roots[0]:
            raise StoreError(f"The labels of {model!r} cannot be changed: {folder.parent} is read-only.")
        # Locked, so that of two writers neither loses the other's label.
        with writing(folder), locked(folder):
            if version is not None:
                self.directory(model, version)
            labels = {name: number for name, number in self.labels(model).items() if name != label}
            labels_file.write_labels(folder, labels if version is None else labels | {label: version})

    def publish(self, model: str, build: publishing.Build) -> int:
        """Adds a version to a model in the first root.

        Whatever fails, other versions are untouched and no half-written one is seen. Several publishers may work at
        once.

        Args:
            model: Name of the model, which may be new.
            build: Writes the files into the empty folder that it gets, and returns the manifest; the store fills in
                `files`.

        Returns:
            The version's number: one more than the greatest in any root.

        Raises:
            InvalidName: The name is not safe.
            StoreError: The root cannot be written, or `build` made what a version cannot hold.
        """
        folder = self._roots[0] / check_name(model, "model")
        if folder.exists() and not _is_usable(folder):
            raise InvalidName(f"{folder} leads out of its root or cannot be read.")
        return publishing.publish(folder, build, lambda: self._greatest(model) + 1)

    def sweep(self) -> list[Path]:
        """Removes what crashed publishers left in the first root, and nothing that is still being written.

        Returns:
            The paths that were removed.
        """
        with writing(self._roots[0]):
            return [
                removed
                for folder in _subfolders(self._roots[0])
                if is_safe(folder.name) and _is_usable(folder)
                for removed in publishing.sweep(folder)
            ]

    def _entries(self) -> Iterator[Path]:
        for root in self._roots:
            yield from (path for path in _subfolders(root) if is_safe(path.name))

    def _folders(self) -> Iterator[Path]:
        return (path for path in self._entries() if _is_usable(path) and _numbers(path))

    def _folder(self, model: str) -> Path:
        check_name(model, "model")
        for root in self._roots:
            folder = root / model
            if _is_usable(folder) and _numbers(folder):
                return folder
        raise NotFound(f"There is no model {model!r}.{suggestion(model, self.models())}")

    def _greatest(self, model: str) -> int:
        return max((number for root in self._roots for number in _numbers(root / model)), default=0)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as fault:
        raise StoreError(f"{folder} cannot be read: {fault.strerror}.") from fault


def _numbers(folder: Path) -> list[int]:
    paths = (path for path in _subfolders(folder) if not path.is_symlink())
    return sorted(number for path in paths if (number := parse_version(path.name)))


def _is_usable(folder: Path) -> bool:
    inside = folder.resolve().is_relative_to(folder.parent.resolve())
    return inside and os.access(folder, os.R_OK | os.X_OK)
