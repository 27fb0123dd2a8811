"""Handwritten words (Kassel 1995; prepared by Taskar, Guestrin & Koller 2003): 6,877 words, 52,152 letters.

Each letter is 16x8 black or white pixels. The first letter of a word, a capital in many, is left out of the data.
"""

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet

NAME = "letters"
ORIGINAL = "letter.data.gz"
ARRAYS = "letters.npz"
LABELS = tuple(ascii_lowercase)
SHAPE = (16, 8)
FOLDS = 10
HELD_OUT = 0
_PIXELS = SHAPE[0] * SHAPE[1]
_FIELDS_BEFORE_PIXELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """All words, their letters end to end.

    Args:
        pixels: uint8 `[letters, 128]`, 0 or 1.
        letters: int64 `[letters]`, places in the alphabet.
        offsets: int64 `[words + 1]`: word i is letters `offsets[i]` to `offsets[i + 1]`.
        folds: int64 `[words]`, 0 to 9.
    """

    pixels: NDArray[np.uint8]
    letters: NDArray[np.int64]
    offsets: NDArray[np.int64]
    folds: NDArray[np.int64]


def load(cache: Path) -> DataSet:
    """Gives the data set; it is not fetched, for no package has it.

    Args:
        cache: Folder that data is kept in.

    Returns:
        object arrays of float32 `[positions, 16, 8]`, 1 where there is ink, else 0, and of int64 `[positions]`. The
        words of fold 0 are held out.

    Raises:
        DataError: The files are damaged or not there; the message says what to do.
    """
    home = cache / NAME
    if not any((home / name).is_file() for name in (ARRAYS, ORIGINAL)):
        raise DataError(
            f"The handwritten words are not here. Put {ORIGINAL} of the OCR data set of B. Taskar "
            f"(https://ai.stanford.edu/~btaskar/ocr/) into {home}."
        )
    return read(home)


def read(folder: Path) -> DataSet:
    """Reads `letters.npz` of a folder, or else `letter.data.gz`.

    Raises:
        DataError: It is missing or damaged.
    """
    path = folder / ARRAYS
    words = read_arrays(path) if path.is_file() else read_original(path := folder / ORIGINAL)
    _check(words, path)
    held_out = words.folds == HELD_OUT
    train_inputs, train_labels = _rows(words, np.flatnonzero(~held_out))
    test_inputs, test_labels = _rows(words, np.flatnonzero(held_out))
    return DataSet(
        name=NAME,
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
        labels=LABELS,
        licence="NOASSERTION",
        citation="R. Kassel 1995; prepared by Taskar, Guestrin & Koller 2003, Max-Margin Markov Networks, NIPS",
    )


def read_arrays(path: Path) -> Words:
    """Reads the words as NumPy arrays.

    Args:
        path: npz with `pixels`, bits packed, uint8 `[letters, 16]`; `letters`; `offsets`; and `folds`, as in `Words`.

    Raises:
        DataError: It is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return Words(
                np.unpackbits(arrays["pixels"], axis=1),
                arrays["letters"].astype(np.int64),
                arrays["offsets"].astype(np.int64),
                arrays["folds"].astype(np.int64),
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as failure:
        raise DataError(f"{path} cannot be read: {failure}.") from failure


def read_original(path: Path) -> Words:
    """Reads the words as they were published: a line a letter, fields between tabs.

    A line has its number, the letter, the number of the word's next letter (-1: there is none), the word's number, the
    position in the word, the fold, and 128 pixels by rows.

    Args:
        path: Text packed by gzip.

    Raises:
        DataError: It is damaged; the message names the line.
    """
    pixels, letters, ends, folds = [], [], [], []
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                fields = line.split()
                try:
                    letters.append(LABELS.index(fields[1]))
                    ends.append(fields[2] == "-1")
                    folds.append(int(fields[5]))
                    pixels.append(np.array(fields[_FIELDS_BEFORE_PIXELS:], np.uint8))
                except (ValueError, IndexError, OverflowError) as failure:
                    raise DataError(f"{path} has no letter in line {number}.") from failure
                if pixels[-1].shape != (_PIXELS,):
                    raise DataError(f"{path} has {len(pixels[-1])} pixels in line {number}, not {_PIXELS}.")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as failure:
        raise DataError(f"{path} cannot be read: {failure}.") from failure
    if not ends or not ends[-1]:
        raise DataError(f"{path} ends within a word.")
    last = np.flatnonzero(ends)
    return Words(
        np.stack(pixels),
        np.array(letters, np.int64),
        np.concatenate([[0], last + 1]).astype(np.int64),
        np.array(folds, np.int64)[last],
    )


def _check(words: Words, path: Path) -> None:
    letters, offsets, folds = words.letters, words.offsets, words.folds
    if words.pixels.shape != (len(letters), _PIXELS) or words.pixels.max(initial=0) > 1:
        raise DataError(f"{path} has no {_PIXELS} black or white pixels for each of its {len(letters)} letters.")
    whole = len(offsets) == len(folds) + 1 and offsets[0] == 0 and offsets[-1] == len(letters)
    if not whole or (np.diff(offsets) < 1).any():
        raise DataError(f"{path}: its words do not fit its letters.")
    if letters.min() < 0 or letters.max() >= len(LABELS) or folds.min() < 0 or folds.max() >= FOLDS:
        raise DataError(f"{path} has letters or folds out of range: 0 to {len(LABELS) - 1} and 0 to {FOLDS - 1}.")
    if not 0 < (folds == HELD_OUT).sum() < len(folds):
        raise DataError(f"{path} has no word of fold {HELD_OUT}, or none of another.")


def _rows(words: Words, chosen: NDArray[np.int64]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    inputs, labels = np.empty(len(chosen), object), np.empty(len(chosen), object)
    for row, word in enumerate(chosen):
        place = slice(words.offsets[word], words.offsets[word + 1])
        inputs[row] = words.pixels[place].reshape(-1, *SHAPE).astype(np.float32)
        labels[row] = words.letters[place]
    return inputs, labels
