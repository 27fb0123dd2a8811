"""Hashed features of a word (Weinberger et al. 2009, arXiv:0902.2206); light, for they are made in the server."""

import unicodedata
from collections.abc import Iterator
from itertools import groupby
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

SUFFIXES = 4
PREFIXES = 3
FEATURES = 2 + SUFFIXES + PREFIXES + 1
MOST_CHARACTERS = 256

_TURKISH_LOWER = {
    ord("I"): "\N{LATIN SMALL LETTER DOTLESS I}",
    ord("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"): "i",
}


def lower(word: str, *, turkish: bool) -> str:
    """The word in small letters; Turkish has two letters i, and each keeps its dot or has none."""
    return (word.translate(_TURKISH_LOWER) if turkish else word).lower()


def shape(word: str) -> str:
    """The kinds of characters in the word, each run as one: `Ankara'da` is `Xx'x`, and `1923.` is `0.`."""
    return "".join(kind for kind, _ in groupby(map(_kind, word)))


def features(word: str, *, turkish: bool) -> Iterator[str]:
    """The features of a word, each with the name of what it is: `FEATURES` or fewer of them."""
    small = lower(word, turkish=turkish)
    yield f"word={word}"
    yield f"lower={small}"
    for length in range(1, min(SUFFIXES, len(small)) + 1):
        yield f"suffix={small[-length:]}"
    for length in range(1, min(PREFIXES, len(small)) + 1):
        yield f"prefix={small[:length]}"
    yield f"shape={shape(word)}"


def hashed(word: str, buckets: int, *, turkish: bool) -> NDArray[np.int32]:
    """The features of a word as places in a table.

    Args:
        word: One word, without white space.
        buckets: Places in the table. Two features may share one.
        turkish: Whether the word is Turkish, which has small letters of its own.

    Returns:
        int32 `[FEATURES]`, from 0 to `buckets - 1`, padded with -1.

    Raises:
        ValueError: It is no word: it is empty or too long, or there is white space in it.
    """
    word = unicodedata.normalize("NFC", word)
    if not word or len(word) > MOST_CHARACTERS:
        raise ValueError(f"a word has 1 to {MOST_CHARACTERS} characters, and this one has {len(word)}")
    if len(word.split()) != 1 or word != word.strip():
        raise ValueError("each position is one word, and there is white space in this one: split it first")
    places = np.full(FEATURES, -1, np.int32)
    for place, feature in enumerate(features(word, turkish=turkish)):
        places[place] = crc32(feature.encode()) % buckets
    return places


def _kind(character: str) -> str:
    if character.isdigit():
        return "0"
    if not character.isalpha():
        return character
    return "X" if character.isupper() else "x"
