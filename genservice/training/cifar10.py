"""CIFAR-10 (Krizhevsky 2009): 60,000 photographs of ten kinds of things; and its cats and dogs alone.

A part is one npz file: `labels`, and either `pixels`, uint8 `[rows, 32, 32, 3]`, or `jpeg`, the photographs as JPEG
files end to end in one uint8 array, with `offsets`, where each begins and the last ends.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.keras_datasets import download

NAME = "cifar10"
CATS_AND_DOGS = "cats-and-dogs"
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARTS = ("train", "test")
ROWS = {"train": 50_000, "test": 10_000}
IMAGE_SHAPE = (32, 32, 3)


def file_of(part: str) -> str:
    """Name of the file of a part."""
    return f"{part}.npz"


def fetch_by_keras(folder: Path) -> None:
    """Downloads with `keras.datasets`.

    Raises:
        DataError: Keras is not installed, or there is no way to the internet.
    """
    for part, (pixels, labels) in zip(PARTS, download("cifar10"), strict=True):
        np.savez(folder / file_of(part), pixels=pixels, labels=labels.ravel())


FETCHERS: Sequence[Fetcher] = (fetch_by_keras,)


def load(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        fetchers: Ways to fetch the files, tried in turn.

    Returns:
        float32 `[rows, 32, 32, 3]` in [-1, 1], 50,000 rows to train on and 10,000 held out.

    Raises:
        DataError: The files are damaged, or cannot be had; the message says what to do.
    """
    return read(_folder(cache, fetchers))


def load_cats_and_dogs(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the cats and the dogs of the data set; see `load` for the arguments and errors.

    Returns:
        float32 `[rows, 32, 32, 3]` in [-1, 1], 10,000 rows to train on and 2,000 held out.
    """
    return read(_folder(cache, fetchers), name=CATS_AND_DOGS, kept=("cat", "dog"))


def read(folder: Path, *, name: str = NAME, kept: Sequence[str] = LABELS) -> DataSet:
    """Reads the two files of a folder.

    Args:
        folder: Where they are.
        name: Name of the data set.
        kept: Labels whose rows are kept; the data set's labels.

    Raises:
        DataError: A file is missing or damaged, or its arrays do not fit together.
    """
    (train_inputs, train_labels), (test_inputs, test_labels) = (read_part(folder, part, kept=kept) for part in PARTS)
    return DataSet(
        name=name,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        labels=tuple(kept),
        licence="NOASSERTION",
        citation="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    )


def read_part(
    folder: Path, part: str, *, kept: Sequence[str] = LABELS
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Reads one of the two files of a folder.

    Args:
        folder: Where it is.
        part: One of `PARTS`.
        kept: Labels whose rows are kept.

    Returns:
        Inputs, float32 `[rows, 32, 32, 3]` in [-1, 1]; labels, places in `kept`, int64 `[rows]`.

    Raises:
        DataError: The file is missing or damaged, or its arrays do not fit together.
    """
    path = folder / file_of(part)
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            labels = arrays["labels"].astype(np.int64)
            if labels.shape != (ROWS[part],):
                raise DataError(f"{path} has labels {list(labels.shape)}; CIFAR-10 has {ROWS[part]} there.")
            if labels.min() < 0 or labels.max() >= len(LABELS):
                raise DataError(f"{path} has labels from {labels.min()} to {labels.max()}; they go from 0 to 9.")
            place = np.array([kept.index(label) if label in kept else -1 for label in LABELS])[labels]
            rows = np.flatnonzero(place >= 0)
            pixels = arrays["pixels"] if "pixels" in arrays else _decode(arrays["jpeg"], arrays["offsets"], rows)
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as failure:
        raise DataError(f"{path} cannot be read: {failure}.") from failure
    if len(pixels) != len(labels):
        raise DataError(f"{path} has {len(labels)} labels for {len(pixels)} pictures.")
    if pixels.shape[1:] != IMAGE_SHAPE or pixels.dtype != np.uint8:
        raise DataError(f"{path} has pictures {pixels.dtype} {pixels.shape[1:]}, not uint8 {IMAGE_SHAPE}.")
    inputs = pixels[rows].astype(np.float32)
    inputs /= 127.5  # In place: the training part has 600 MB.
    inputs -= 1
    return inputs, place[rows]


def _folder(cache: Path, fetchers: Sequence[Fetcher]) -> Path:
    home = cache / NAME
    if not _complete(home):
        files = " and ".join(map(file_of, PARTS))
        fetch(
            home,
            fetchers,
            check=read,
            complete=_complete,
            title="CIFAR-10",
            advice=f"Put {files} into {home}: uint8 `pixels` [rows, 32, 32, 3] and `labels` [rows] each.",
        )
    return home


def _complete(folder: Path) -> bool:
    return all((folder / file_of(part)).is_file() for part in PARTS)


def _decode(jpeg: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Decodes some of the JPEG files that lie end to end; the others are left black.

    Returns:
        uint8 `[len(offsets) - 1, 32, 32, 3]`.

    Raises:
        OSError: One is no picture.
        ValueError: One has another size.
    """
    from PIL import Image

    pixels = np.zeros((len(offsets) - 1, *IMAGE_SHAPE), np.uint8)
    for row in rows:
        content = jpeg[offsets[row] : offsets[row + 1]].tobytes()
        pixels[row] = np.asarray(Image.open(io.BytesIO(content), formats=["JPEG"]))
    return pixels
