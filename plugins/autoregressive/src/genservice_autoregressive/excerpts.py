"""Parts of texts, as the network takes them to learn from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genservice.errors import SettingsError


def shifted(targets: NDArray[np.int32], begin: int) -> NDArray[np.int32]:
    """What the network is given to predict excerpts: the begin token, then all but the last character.

    Args:
        targets: int32 `[batch, characters]`.
        begin: Number of the begin token.

    Returns:
        int32 `[batch, characters]`.
    """
    return np.concatenate([np.full((len(targets), 1), begin, np.int32), targets[:, :-1]], axis=1)


class RandomExcerpts:
    """Excerpts that begin anywhere in any of the texts, each place as likely as another.

    Args:
        texts: int32 `[characters]` each.
        longest: The most characters of an excerpt.

    Raises:
        SettingsError: No text is that long.
    """

    def __init__(self, texts: Sequence[NDArray[np.int32]], longest: int) -> None:
        self._texts = [text for text in texts if len(text) >= longest]
        if not self._texts:
            raise SettingsError(f"No text has the {longest} characters of the longest excerpt.")

    def draw(self, rng: np.random.Generator, rows: int, length: int) -> NDArray[np.int32]:
        """Draws excerpts.

        Returns:
            int32 `[rows, length]`.
        """
        places = np.array([len(text) - length + 1 for text in self._texts])
        ends = places.cumsum()
        drawn = rng.integers(0, ends[-1], rows)
        texts = np.searchsorted(ends, drawn, side="right")
        starts = drawn - (ends - places)[texts]
        return np.stack([self._texts[text][start : start + length] for text, start in zip(texts, starts, strict=True)])
