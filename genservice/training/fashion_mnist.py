"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): 70,000 pictures of ten kinds of clothes."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.idx import read_pictures, write_idx
from genservice.training.keras_datasets import download

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
    """Downloads with `keras.datasets`.

    Raises:
        DataError: Keras is not installed, or there is no way to the internet.
    """
    for part, (images, labels) in zip(PARTS, download("fashion_mnist"), strict=True):
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
    (train_inputs, train_labels), (test_inputs, test_labels) = (
        read_pictures(folder / images_file(part), folder / labels_file(part), len(LABELS)) for part in PARTS
    )
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
