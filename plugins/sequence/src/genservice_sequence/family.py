"""The family `conditional-random-field`: p(labels | sequence), and the most probable labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import DataSet, FitRun, LabellingScorer, Sequences, TensorSpec, load_weights
from genservice.errors import SettingsError
from genservice_sequence.recipe import Recipe
from genservice_sequence.words import FEATURES, hashed

WEIGHTS = "weights.safetensors"


class ConditionalRandomField(LabellingScorer):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001).

    Args:
        config: `labels`; `positions`, the most of a sequence; `network`, its kind and arguments; `transitions`, whether
            labels depend on their neighbours; `event`, what a position is: its `shape` and, where there are bounds,
            `minimum` and `maximum`, or else `turkish`: whether the words are.
    """

    family = "conditional-random-field"

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.labels = tuple(config["labels"])
        self.positions = config["positions"]
        event = config["event"]
        if "shape" in event:
            bounds = event.get("minimum"), event.get("maximum")
            self.event = TensorSpec(
                tuple(event["shape"]), "float32", *bounds, description="What is seen at a position."
            )
        else:
            last = config["network"]["buckets"] - 1
            self.event = TensorSpec((), "string", description="A word.")
            self.tokens = TensorSpec((FEATURES,), "int32", -1, last, description="Hashed features of a word.")

    def load(self, directory: Path) -> None:
        """Builds the potentials and reads their weights."""
        self._potentials = self._build()
        load_weights(self._potentials, directory / WEIGHTS)

    def tokenize(self, text: str) -> NDArray[Any]:
        """The hashed features of a word, int32 `[features]`, padded with -1.

        Raises:
            ValueError: It is no word: it is empty or too long, or there is white space in it.
        """
        return hashed(text, self.config["network"]["buckets"], turkish=self.config["event"]["turkish"])

    def tag(self, sequences: Sequences, options: Any) -> tuple[Any, Any]:
        """The labels by Viterbi's algorithm, and the marginals by the forward-backward algorithm.

        Returns:
            int32 `[batch, positions]`; float32 `[batch, positions, labels]`. The padding of the longest sequence is 0.
        """
        import tensorflow as tf

        chain = self._chain(sequences)
        padding = [0, tf.shape(sequences.values)[1] - chain.positions]
        marginals = tf.cast(chain.marginals(), tf.float32)
        return tf.pad(chain.viterbi(), [[0, 0], padding]), tf.pad(marginals, [[0, 0], padding, [0, 0]])

    def labelling_log_prob(self, sequences: Sequences, labels: Any, options: Any) -> Any:
        """Natural logarithm of p(labelling | sequence), exact, float64 `[batch]`."""
        chain = self._chain(sequences)
        return chain.log_prob(labels[:, : chain.positions])

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the field; the settings are the fields of `Recipe`.

        Raises:
            SettingsError: The recipe does not fit the data.
        """
        import keras

        from genservice_sequence.potentials import save_potentials
        from genservice_sequence.training import train

        recipe, data = run.recipe(Recipe), run.data
        model = cls(_config(recipe, data))
        keras.utils.set_random_seed(run.seed)
        potentials = model._build()
        inputs = [model._values(row) for row in data.train_inputs]
        labels = [row.astype(np.int32) for row in data.train_labels]
        train(
            potentials,
            inputs,
            labels,
            seed=run.seed,
            recipe=recipe,
            checkpoint_dir=run.checkpoints,
            progress=run.progress,
        )
        save_potentials(potentials, run.directory / WEIGHTS)
        return model.config

    def _values(self, row: Any) -> NDArray[Any]:
        """A sequence as the model gets it: words as their tokens."""
        return row if self.tokens is None else np.stack([self.tokenize(word) for word in row])

    def _chain(self, sequences: Sequences) -> Any:
        """The factors in float64: sums over 128 positions would lose digits that a score is asked for."""
        return self._potentials.chain(sequences.values, sequences.lengths).as_float64()

    def _build(self) -> Any:
        from genservice_sequence.potentials import Potentials

        position = self.tokens or self.event
        return Potentials(
            self.config["network"], position.shape, len(self.labels), transitions=self.config["transitions"]
        )


def _config(recipe: Recipe, data: DataSet) -> dict[str, Any]:
    """The config of a field of a data set's sequences."""
    if not len(data.train_labels) or data.train_labels.dtype != object:
        raise SettingsError(
            f"The data {data.name!r} has no labelled sequences, which a conditional random field needs."
        )
    longest = max(map(len, data.train_inputs))
    if longest > recipe.positions:
        raise SettingsError(f"`positions` is {recipe.positions}, and {data.name!r} has a sequence of {longest}.")
    words = isinstance(data.train_inputs[0], list)
    event: dict[str, Any] = {"turkish": recipe.turkish}
    if not words:
        event = {"shape": list(data.train_inputs[0].shape[1:])}
        if all(row.min() >= 0 and row.max() <= 1 for row in data.train_inputs):
            event |= {"minimum": 0.0, "maximum": 1.0}
    return {
        "labels": list(data.labels),
        "positions": recipe.positions,
        "event": event,
        "network": recipe.network_config(words=words),
        "transitions": recipe.transitions,
    }
