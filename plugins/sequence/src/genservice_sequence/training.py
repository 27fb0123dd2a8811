"""The fit loop of the conditional random field, on TensorFlow.

All randomness follows from the seed and the step, so a run that is cut off and resumed from its checkpoint sees the
same batches and comes to the same weights.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from genservice_sequence.potentials import Potentials
from genservice_sequence.recipe import Recipe

Progress = Callable[[int, int, dict[str, float]], None]
"""Called as `progress(step, total_steps, metrics)`; an exception it raises ends the training."""


def pad(rows: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Makes one array of sequences, as the engine does: each is padded by repeating its last position.

    Returns:
        `[batch, T, ...]`; the lengths, int32 `[batch]`.
    """
    lengths = np.array([len(row) for row in rows], np.int32)
    places = np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return np.stack([row[place] for row, place in zip(rows, places, strict=True)]), lengths


def train(
    potentials: Potentials,
    inputs: list[NDArray[Any]],
    labels: list[NDArray[np.int32]],
    *,
    seed: int,
    recipe: Recipe,
    checkpoint_dir: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Maximises the likelihood, with a Gaussian prior on the weights (Sutton & McCallum 2012, section 5.1.1), by Adam.

    What is minimised is, for N sequences, -1/N (sum_i log p(y_i | x_i) - sum_k theta_k^2 / (2 sigma^2)), where a step
    takes the first mean over some of the sequences.

    Args:
        potentials: What is trained, in place.
        inputs: `[positions, *event_shape]` each.
        labels: `[positions]` each.
        seed: Seeds the order of the sequences.
        recipe: The hyperparameters.
        checkpoint_dir: Where the state is kept; if it holds a checkpoint, training goes on from there. None keeps none.
        progress: Told the step, the number of steps and the mean of -log p(y | x) in nats a position.
    """
    trainer = Trainer(potentials, inputs, labels, seed=seed, recipe=recipe)
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / "checkpoint.npz"
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    saved_at = time.monotonic()
    while trainer.step < trainer.steps:
        nats = trainer.train_step()
        last = trainer.step == trainer.steps
        if progress is not None and (trainer.step % 10 == 0 or last):
            progress(trainer.step, trainer.steps, {"nats": float(nats)})
        if checkpoint is not None and (time.monotonic() - saved_at > recipe.checkpoint_seconds or last):
            trainer.save(checkpoint)
            saved_at = time.monotonic()


class Trainer:
    """The field, its optimiser and one step of training.

    Attributes:
        step: Number of steps done.
        steps: Number of steps in all.
    """

    def __init__(
        self,
        potentials: Potentials,
        inputs: list[NDArray[Any]],
        labels: list[NDArray[np.int32]],
        *,
        seed: int,
        recipe: Recipe,
    ) -> None:
        """See `train` for the arguments."""
        self.step = 0
        self._steps_an_epoch = -(-len(inputs) // recipe.batch_sequences)
        self.steps = recipe.epochs * self._steps_an_epoch
        self._potentials, self._inputs, self._labels = potentials, inputs, labels
        self._seed, self._recipe = seed, recipe
        schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, self.steps)
        self._optimizer = keras.optimizers.Adam(schedule)
        self._optimizer.build(potentials.trainable_variables)
        values = tf.TensorSpec([None, None, *inputs[0].shape[1:]], inputs[0].dtype)
        ints = [tf.TensorSpec([None] * rank, tf.int32) for rank in (1, 2)]
        self._update = tf.function(self._update_potentials, input_signature=[values, *ints], autograph=False)

    def train_step(self) -> tf.Tensor:
        """Updates the weights once.

        Returns:
            The mean of -log p(y | x) over this step's sequences, in nats a position, a float32 scalar.
        """
        epoch, batch = divmod(self.step, self._steps_an_epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._inputs))
        chosen = order[batch * self._recipe.batch_sequences :][: self._recipe.batch_sequences]
        values, lengths = pad([self._inputs[row] for row in chosen])
        labels, _ = pad([self._labels[row] for row in chosen])
        nats = self._update(values, lengths, labels)
        self.step += 1
        return nats

    def save(self, path: Path) -> None:
        """Writes the whole state to an npz file, whole or not at all."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, step=self.step, **{key: value.numpy() for key, value in self._state().items()})
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Restores a state written by `save` for the same recipe."""
        with np.load(path) as arrays:
            self.step = int(arrays["step"])
            for key, variable in self._state().items():
                variable.assign(arrays[key])

    def _update_potentials(self, values: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        variables = self._potentials.trainable_variables
        with tf.GradientTape() as tape:
            log_prob = self._potentials.chain(values, lengths, training=True).log_prob(labels)
            squares = tf.add_n([tf.reduce_sum(tf.square(variable)) for variable in variables])
            prior = squares / (2 * self._recipe.sigma**2 * len(self._inputs))
            loss = prior - tf.reduce_mean(log_prob)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], variables)
        return -tf.reduce_sum(log_prob) / tf.cast(tf.reduce_sum(lengths), log_prob.dtype)

    def _state(self) -> dict[str, keras.Variable]:
        owners = {"potentials": self._potentials.variables, "optimizer": self._optimizer.variables}
        return {f"{owner}/{index}": value for owner, values in owners.items() for index, value in enumerate(values)}
