"""Where the factors of the field come from: networks of the observations, and a weight for each pair of labels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from genservice.model.weights import named_variables
from genservice_sequence.chain import Chain


class Potentials(keras.Layer):
    """Makes the chain of a batch of sequences.

    Its weights are those of the network of the observations; what the two ends of a sequence say of their labels, which
    are features of x_t too; and the transitions, which are 0 where the field has none: then each position stands alone.

    Args:
        network: Its name in `NETWORKS`, as `kind`, and its arguments.
        event_shape: Shape of one position; of tokens `[features]`.
        labels: Number of labels.
        transitions: Whether labels depend on their neighbours.
    """

    def __init__(
        self, network: Mapping[str, Any], event_shape: tuple[int, ...], labels: int, *, transitions: bool
    ) -> None:
        super().__init__(name="potentials")
        arguments = dict(network)
        self.network = NETWORKS[arguments.pop("kind")](event_shape, labels, **arguments)
        self.first = self.add_weight(shape=(labels,), initializer="zeros", name="first")
        self.last = self.add_weight(shape=(labels,), initializer="zeros", name="last")
        self.transitions = self.add_weight(
            shape=(labels, labels), initializer="zeros", name="transitions", trainable=transitions
        )
        self.built = True

    def chain(self, values: tf.Tensor, lengths: tf.Tensor, *, training: bool = False) -> Chain:
        """The factors, over as many positions as the longest sequence has.

        Args:
            values: `[batch, positions, *event_shape]`.
            lengths: int32 `[batch]`.
            training: Whether some of what is observed is dropped at random.

        Returns:
            The chain, in float32.
        """
        values = values[:, : tf.reduce_max(lengths)]
        t = tf.range(tf.shape(values)[1])
        unary = self.network(values, t < lengths[:, None], training=training)
        ends = [(t == 0)[None, :, None], (t == lengths[:, None] - 1)[:, :, None]]
        for end, weight in zip(ends, (self.first, self.last), strict=True):
            unary += tf.where(end, tf.convert_to_tensor(weight), 0.0)
        return Chain(unary, tf.convert_to_tensor(self.transitions), lengths)


class EachPosition(keras.Layer):
    """A network that sees one position at a time."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name="observation")
        self.network = network
        self.built = True

    def call(self, values: Any, inside: Any, training: bool = False) -> Any:
        """Maps `[batch, T, *event_shape]` to float32 `[batch, T, M]`."""
        batch, positions = ops.shape(values)[:2]
        unary = self.network(ops.reshape(values, (-1, *values.shape[2:])), training=training)
        return ops.reshape(unary, (batch, positions, unary.shape[-1]))


class WordWindow(keras.Layer):
    """A network of the hashed features of a word and of its two neighbours.

    A word is the sum of the embeddings of its features; beyond the ends of a sequence there are zeros.

    Args:
        event_shape: `[features]`; any number of them.
        labels: Number of labels.
        buckets: Number of embeddings.
        width: Extent of each.
        hidden: Extent of the hidden layer.
        dropout: Part of the features, and of the hidden layer, that training leaves out.
    """

    def __init__(
        self, event_shape: tuple[int, ...], labels: int, *, buckets: int, width: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(name="observation")
        self.embeddings = self.add_weight(
            shape=(buckets, width), initializer=keras.initializers.RandomNormal(stddev=0.1), name="embeddings"
        )
        self.features_dropout = layers.Dropout(dropout, name="features_dropout")
        self.hidden = layers.Dense(hidden, "relu", name="hidden")
        self.hidden_dropout = layers.Dropout(dropout, name="hidden_dropout")
        self.unary = layers.Dense(labels, name="unary")
        self.hidden.build((None, None, 3 * width))
        self.unary.build((None, None, hidden))
        self.built = True

    def call(self, tokens: Any, inside: Any, training: bool = False) -> Any:
        """Maps int32 `[batch, T, features]`, padded with -1, to float32 `[batch, T, M]`."""
        known = ops.cast((tokens >= 0) & inside[:, :, None], "float32")
        weights = self.features_dropout(known, training=training)
        word = ops.sum(ops.take(self.embeddings, ops.maximum(tokens, 0), axis=0) * weights[..., None], axis=2)
        before = ops.pad(word[:, :-1], ((0, 0), (1, 0), (0, 0)))
        after = ops.pad(word[:, 1:], ((0, 0), (0, 1), (0, 0)))
        hidden = self.hidden(ops.concatenate([before, word, after], axis=2))
        return self.unary(self.hidden_dropout(hidden, training=training))


def linear(event_shape: tuple[int, ...], labels: int) -> EachPosition:
    """Weights for each pair of an element of the observation and a label: the field is log-linear, its fit convex."""
    return EachPosition(
        keras.Sequential(
            [
                keras.Input(event_shape),
                layers.Flatten(name="elements"),
                layers.Dense(labels, kernel_initializer="zeros", name="unary"),
            ],
            name="linear",
        )
    )


def convolutional(
    event_shape: tuple[int, ...], labels: int, *, filters: int, hidden: int, dropout: float
) -> EachPosition:
    """A small convolutional network of an image with one channel, `[height, width]`."""
    return EachPosition(
        keras.Sequential(
            [
                keras.Input(event_shape),
                layers.Reshape((*event_shape, 1), name="image"),
                layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv1"),
                layers.MaxPooling2D(name="pool1"),
                layers.Conv2D(2 * filters, 3, padding="same", activation="relu", name="conv2"),
                layers.MaxPooling2D(name="pool2"),
                layers.Flatten(name="features"),
                layers.Dropout(dropout, name="features_dropout"),
                layers.Dense(hidden, "relu", name="hidden"),
                layers.Dropout(dropout, name="hidden_dropout"),
                layers.Dense(labels, name="unary"),
            ],
            name="convolutional",
        )
    )


NETWORKS: Mapping[str, Callable[..., keras.Layer]] = {
    "linear": linear,
    "convolutional": convolutional,
    "words": WordWindow,
}
"""What makes unary potentials of observations."""


def save_potentials(potentials: Potentials, path: Path) -> None:
    """Writes the weights as float16, which is half as large; what is loaded, and measured, are the rounded ones."""
    from safetensors.numpy import save_file

    variables = named_variables(potentials)
    weights = {name: ops.convert_to_numpy(ops.copy(variable)) for name, variable in variables.items()}
    save_file({name: weight.astype(np.float16) for name, weight in weights.items()}, path)
