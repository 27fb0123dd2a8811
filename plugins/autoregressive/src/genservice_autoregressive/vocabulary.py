"""The characters that a model knows, and their numbers."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

PADDING = -1
"""What fills the places after the last token."""


class Vocabulary:
    """Characters numbered from 0 in the order given; the begin token has the number after the last.

    Args:
        characters: The characters, each once.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._tokens = {character: token for token, character in enumerate(characters)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Vocabulary":
        """The characters that occur in texts, in the order of their code points."""
        return cls("".join(sorted(set().union(*texts))))

    def __len__(self) -> int:
        """Number of characters; the begin token is not among them."""
        return len(self.characters)

    @property
    def begin(self) -> int:
        """Number of the begin token, which stands at position 0 and is never drawn."""
        return len(self.characters)

    def encode(self, text: str) -> NDArray[np.int32]:
        """The numbers of a text's characters.

        Returns:
            int32 `[characters]`, from 0 to `len(self) - 1`.

        Raises:
            ValueError: The text has a character that is not known.
        """
        for place, character in enumerate(text):
            if character not in self._tokens:
                raise ValueError(
                    f"The character {character!r} (U+{ord(character):04X}) at place {place} is not among the "
                    f"{len(self)} that the model knows: {self.characters!r}."
                )
        return np.array([self._tokens[character] for character in text], np.int32)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of numbers from 0 to `len(self) - 1`."""
        return "".join(self.characters[token] for token in tokens)
