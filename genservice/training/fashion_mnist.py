"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): 70,000 pictures of ten kinds of clothes."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.idx import read_idx, write_idx

NAME = "fashion-mnist"
LABELS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
PARTS = ("train", "t10k")
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_DOWNLOAD_LIMIT_S = 600


def images_file(part: str) -> str:
    """Name of the file with a part's pictures."""
    return f"{part}-images-idx3-ubyte.gz"


def labels_file(part: str) -> str:
    """Name of the file with a part's labels."""
    return f"{part}-labels-idx1-ubyte.gz"


FILES = tuple(name(part) for part in PARTS for name in (images_file, labels_file))


def fetch_by_apt(folder: Path) -> None:
    """Takes the files out of Debian's package, which needs no rights of the administrator.

    Raises:
        DataError: There is no apt-get, or it fails.
    """
    try:
        with TemporaryDirectory(dir=folder) as unpacked:
            for command in (["apt-get", "download", DEBIAN_PACKAGE], ["sh", "-c", "dpkg -x ./*.deb ."]):
                subprocess.run(
                    command, cwd=unpacked, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_LIMIT_S
                )
            for name in FILES:
                (Path(unpacked) / DEBIAN_FOLDER.relative_to("/") / name).rename(folder / name)
    except subprocess.CalledProcessError as failure:
        lines = failure.stderr.strip().splitlines() or [f"exit code {failure.returncode}"]
        raise DataError(f"{failure.cmd[0]}: {lines[-1]}") from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise DataError(f"apt-get: {failure}") from failure


def fetch_by_keras(folder: Path) -> None:
    """Downloads with `keras.datasets`, into Keras's own cache too.

    Raises:
        DataError: Keras is not installed, or there is no way to the internet.
    """
    try:
        import keras

        parts = keras.datasets.fashion_mnist.load_data()
    except Exception as failure:  # Keras raises a bare Exception where a download fails.
        raise DataError(f"keras.datasets: {failure}") from failure
    for part, (images, labels) in zip(PARTS, parts, strict=True):
        write_idx(folder / images_file(part), images)
        write_idx(folder / labels_file(part), labels)


FETCHERS: Sequence[Fetcher] = (fetch_by_apt, fetch_by_keras)


def load(cache: Path, *, system: Path = DEBIAN_FOLDER, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        system: Folder where Debian's package puts the files.
        fetchers: Ways to fetch the files, tried in turn.

    Returns:
        float32 `[rows, 28, 28, 1]` in [-1, 1], 60,000 rows to train on and 10,000 held out.

    Raises:
        DataError: The files are damaged, or cannot be had; the message says what to do.
    """
    home = cache / NAME
    folder = next((folder for folder in (home, system) if _complete(folder)), None)
    if folder is None:
        fetch(
            home,
            fetchers,
            check=read,
            complete=_complete,
            title="Fashion-MNIST",
            advice=f"Put {', '.join(FILES)} into {home}, or install Debian's package {DEBIAN_PACKAGE}.",
        )
    return read(folder or home)


def read(folder: Path) -> DataSet:
    """Reads the four files of a folder.

    Raises:
        DataError: One is missing or damaged, or two do not fit together.
    """
    (train_inputs, train_labels), (test_inputs, test_labels) = (_read_part(folder, part) for part in PARTS)
    return DataSet(
        name=NAME,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        labels=LABELS,
        licence="MIT",
        citation="Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
    )


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _read_part(folder: Path, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images = read_idx(folder / images_file(part), 3)
    labels = read_idx(folder / labels_file(part), 1).astype(np.int64)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{folder / images_file(part)} has pictures of {images.shape[1:]}, not of 28 by 28.")
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{folder / labels_file(part)} has {len(labels)} labels for {len(images)} pictures.")
    if labels.max() >= len(LABELS):
        raise DataError(f"{folder / labels_file(part)} has the label {labels.max()}; they go up to {len(LABELS) - 1}.")
    return images[..., None].astype(np.float32) / np.float32(127.5) - 1, labels
