"""Hyperparameters of a conditional random field and of its training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genservice.errors import SettingsError

ARRAY_NETWORKS: Mapping[str, Sequence[str]] = {"linear": (), "convolutional": ("filters", "hidden", "dropout")}
WORD_NETWORKS: Mapping[str, Sequence[str]] = {"words": ("buckets", "width", "hidden", "dropout")}
"""Networks by kind, and which hyperparameters they have; the first is the one that is meant where none is named."""


@dataclass(frozen=True)
class Recipe:
    """What the settings of a training are.

    Attributes:
        network: What makes potentials of observations: `linear`, or `convolutional` for images `[height, width]`; words
            have `words` alone. Empty: `linear`, or `words`.
        transitions: Whether labels depend on their neighbours. A field without is a classifier of each position, to
            compare with.
        positions: Most positions of a sequence that the model takes.
        filters: Of the first convolution; the second has twice as many.
        buckets: Places for the hashed features of words.
        width: Extent of the embedding of a feature.
        hidden: Extent of the hidden layer of `convolutional` and `words`.
        dropout: Part of the features, and of the hidden layer, that a step of training leaves out.
        turkish: Whether the words are Turkish, which has small letters of its own.
        epochs: Passes over the sequences.
        batch_sequences: Sequences in a step.
        learning_rate: Adam's highest learning rate, from where it falls along a half cosine to zero.
        sigma: Standard deviation of the Gaussian prior on the weights.
        checkpoint_seconds: Time between checkpoints.
    """

    network: str = ""
    transitions: bool = True
    positions: int = 128
    filters: int = 16
    buckets: int = 16384
    width: int = 24
    hidden: int = 64
    dropout: float = 0.3
    turkish: bool = False
    epochs: int = 20
    batch_sequences: int = 32
    learning_rate: float = 5e-3
    sigma: float = 10.0
    checkpoint_seconds: float = 60.0

    def network_config(self, *, words: bool) -> dict[str, Any]:
        """The network's kind and arguments, as `Potentials` takes them.

        Args:
            words: Whether a position is a word, and no array.

        Raises:
            SettingsError: There is no such network for such positions.
        """
        networks = WORD_NETWORKS if words else ARRAY_NETWORKS
        kind = self.network or next(iter(networks))
        if kind not in networks:
            positions = "words" if words else "arrays"
            raise SettingsError(f"`network` is {' or '.join(networks)} where positions are {positions}; got {kind!r}.")
        return {"kind": kind, **{name: getattr(self, name) for name in networks[kind]}}
