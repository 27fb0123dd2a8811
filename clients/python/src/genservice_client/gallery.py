"""Who is known: names and embeddings."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from genservice.v1 import types_pb2
from genservice_client.models import VersionInfo
from genservice_client.tensors import tensor_from


class Gallery:
    """Names and embeddings of those whom `Client.identify` is to find; a name may have several embeddings.

    Embeddings of one version mean nothing to another. So a gallery belongs to the version whose embeddings it took
    first, where it is told which: `Client.gallery` tells it.

    Args:
        model: Version whose embeddings it holds, `models/{model}/versions/{n}`. Empty: not known, and not checked.
        content_hash: SHA-256 of the version's content, in hexadecimal.
    """

    def __init__(self, model: str = "", content_hash: str = "") -> None:
        self.model = model
        """The version whose embeddings it holds; empty: not known."""
        self.content_hash = content_hash
        """SHA-256 of the version's content; empty: not known."""
        self._names: list[str] = []
        self._embeddings: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        """Counts the embeddings."""
        return len(self._names)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each embedding."""
        return tuple(self._names)

    @property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """The embeddings, float32 `[entries, dimensions]`; read-only."""
        embeddings = self._embeddings.view()
        embeddings.flags.writeable = False
        return embeddings

    def enrol(self, name: str, embeddings: npt.ArrayLike) -> None:
        """Adds someone, or more embeddings of someone.

        Args:
            name: Who.
            embeddings: `[rows, dimensions]`, or one `[dimensions]`.

        Raises:
            ValueError: The name is empty, or the embeddings are not such.
        """
        if not name:
            raise ValueError("the name is empty")
        rows = _checked(np.atleast_2d(np.asarray(embeddings, np.float32)))
        if not rows.size:
            raise ValueError("there are no embeddings")
        if len(self) and rows.shape[1] != self._embeddings.shape[1]:
            raise ValueError(
                f"the embeddings have {rows.shape[1]} dimensions, and those in the gallery {self._embeddings.shape[1]}"
            )
        self._embeddings = np.concatenate([self._embeddings, rows]) if len(self) else rows.copy()
        self._names += [name] * len(rows)

    def remove(self, name: str) -> None:
        """Takes someone away.

        Raises:
            KeyError: Nobody has that name.
        """
        kept = [place for place, known in enumerate(self._names) if known != name]
        if len(kept) == len(self):
            raise KeyError(name)
        self._embeddings = self._embeddings[kept]
        self._names = [self._names[place] for place in kept]

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the gallery to a file, such as `people.npz`.

        Raises:
            OSError: It cannot be written.
        """
        with Path(path).open("wb") as file:
            np.savez(
                file,
                names=np.array(self._names, np.str_),
                embeddings=self._embeddings,
                model=np.array(self.model),
                content_hash=np.array(self.content_hash),
            )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Gallery":
        """Reads a gallery that `save` wrote. Nothing in the file is run.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no gallery.
        """
        try:
            # As a file that is open, for NumPy leaves one open that is no archive.
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
                return cls._of(content)
        except (ValueError, KeyError, EOFError, AttributeError, TypeError, BadZipFile) as error:
            raise ValueError(f"{path} is no gallery: {error}") from error

    @classmethod
    def _of(cls, content: Mapping[str, npt.NDArray[np.generic]]) -> "Gallery":
        gallery = cls(str(content["model"]), str(content["content_hash"]))
        names, embeddings = content["names"], _checked(content["embeddings"].astype(np.float32))
        if names.shape != (len(embeddings),) or names.dtype.kind != "U":
            raise ValueError(f"it has names {names.dtype} {list(names.shape)} for {len(embeddings)} embeddings")
        gallery._names, gallery._embeddings = [str(name) for name in names], embeddings
        return gallery

    def adopt(self, version: VersionInfo) -> None:
        """Makes the embeddings those of a version, where it is not known yet whose they are.

        Raises:
            ValueError: They are of another one.
        """
        self.check(version)
        self.model, self.content_hash = version.name, version.content_hash

    def check(self, version: VersionInfo) -> None:
        """Holds that the embeddings are of a version, where it is known whose they are.

        Raises:
            ValueError: They are of another one.
        """
        if self.model and (self.model, self.content_hash) != (version.name, version.content_hash):
            raise ValueError(
                f"the gallery holds embeddings of {self.model} ({self.content_hash[:12]}), and {version.name} "
                f"({version.content_hash[:12]}) answers: enrol again, or ask for the version of the gallery"
            )

    def tensor(self) -> types_pb2.Tensor:
        """Makes the message of the embeddings.

        Raises:
            ValueError: There are none.
        """
        if not len(self):
            raise ValueError("the gallery is empty; enrol someone first")
        return tensor_from(self._embeddings)


def _checked(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings have the shape {list(embeddings.shape)}; it must be [rows, dimensions]")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings have numbers that are not finite")
    return embeddings
