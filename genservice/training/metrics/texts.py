"""What can be counted in texts."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

COPY_CHARACTERS = 40
"""Characters in a row that are a copy: about a line of verse."""
_BASE = np.uint64(1099511628211)


def copies(texts: Iterable[str], training: Iterable[str], characters: int = COPY_CHARACTERS) -> float:
    """Part of the texts that repeat a run of characters of the training data.

    Args:
        texts: Texts.
        training: What may be repeated.
        characters: Length of the run.
    """
    known = np.unique(np.concatenate([np.zeros(0, np.uint64), *(_runs(text, characters) for text in training)]))
    return float(np.mean([_any_in(_runs(text, characters), known) for text in texts]))


def _any_in(runs: NDArray[np.uint64], known: NDArray[np.uint64]) -> bool:
    places = np.searchsorted(known, runs)
    inside = places < len(known)
    return bool((known[places[inside]] == runs[inside]).any())


def _runs(text: str, characters: int) -> NDArray[np.uint64]:
    """A hash of each run of so many characters: Σ cᵢ bⁱ modulo 2⁶⁴, by which two differ but for chance."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64) + np.uint64(1)
    count = len(codes) - characters + 1
    runs = np.zeros(max(count, 0), np.uint64)
    for place in range(characters if count > 0 else 0):
        runs = runs * _BASE + codes[place : place + count]
    return runs
