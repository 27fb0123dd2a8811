"""The fit loop of the networks, on TensorFlow.

All randomness follows from the seed and the step, so a training that is cut off and goes on from its checkpoint sees
the same batches and the same dropout.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genservice import FitRun
from genservice.errors import SettingsError
from genservice_classifiers.augmentation import AugmentedBatches

PRECISIONS = ("float32", "mixed_bfloat16")

_TOLD_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyperparameters of `train`; the defaults suit the convolutional network.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images a step.
        peak_learning_rate: AdamW's learning rate after the warm-up, from where it falls along a half cosine to zero.
        warmup_fraction: Part of all steps in which the learning rate rises linearly.
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
        label_smoothing: Probability mass spread evenly over all labels in the targets.
        max_shift: Largest random translation in pixels, each axis.
        mirror: Whether to mirror images at random; clothes and animals seen in a mirror keep their label, digits do
            not.
        width: See `build_cnn` and `build_mlp`.
        depth: See `build_cnn` and `build_mlp`.
        precision: Keras's dtype policy in training, `float32` or `mixed_bfloat16`, which is faster where the processor
            has instructions for it. The weights are float32 all the same.
        checkpoint_seconds: Time between checkpoints.
    """

    epochs: int = 12
    batch_size: int = 128
    peak_learning_rate: float = 4e-3
    warmup_fraction: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    max_shift: int = 2
    mirror: bool = True
    width: int = 32
    depth: int = 1
    precision: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            SettingsError: A setting lies outside its range.
        """
        for name in ("epochs", "batch_size", "width", "depth"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is 1 or greater; got {getattr(self, name)}.")
        for name in ("warmup_fraction", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} is a part, from 0 to below 1; got {getattr(self, name):g}.")
        if self.max_shift < 0:
            raise SettingsError(f"max_shift is 0 or greater; got {self.max_shift}.")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"precision is {' or '.join(PRECISIONS)}; got {self.precision!r}.")


@dataclasses.dataclass(frozen=True)
class MlpRecipe(Recipe):
    """Hyperparameters of the multilayer perceptron; its defaults suit digits.

    Attributes:
        dropout: See `build_mlp`.
    """

    epochs: int = 40
    peak_learning_rate: float = 3e-3
    label_smoothing: float = 0.0
    mirror: bool = False
    width: int = 256
    depth: int = 2
    dropout: float = 0.2

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            SettingsError: A setting lies outside its range.
        """
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is a part, from 0 to below 1; got {self.dropout:g}.")


Build = Callable[[str], keras.Model]
"""Builds a network in a dtype policy; see `build_cnn` for what it gives."""


def train(build: Build, run: FitRun, recipe: Recipe) -> keras.Model:
    """Trains a network; goes on from the checkpoint of a training that was cut off.

    Args:
        build: Builds the network.
        run: What to train on, the seed, where checkpoints are kept, and whom to tell the running loss and accuracy.
        recipe: The hyperparameters.

    Returns:
        The trained network, in float32.
    """
    trainer = Trainer(build, run, recipe)
    checkpoint = run.checkpoints / "checkpoint.npz"
    if checkpoint.exists():
        trainer.load(checkpoint)
    saved_at = time.monotonic()
    while trainer.step < trainer.steps:
        figures = trainer.train_step()
        last = trainer.step == trainer.steps
        if trainer.step % _TOLD_STEPS == 0 or last:
            run.progress(trainer.step, trainer.steps, {name: float(figure) for name, figure in figures.items()})
        if time.monotonic() - saved_at > recipe.checkpoint_seconds and not last:
            trainer.save(checkpoint)
            saved_at = time.monotonic()
    network = build("float32")
    network.set_weights(trainer.network.get_weights())
    return network


class Trainer:
    """A network, its optimiser and one step of training.

    Attributes:
        step: Number of steps done.
        steps: Number of steps in all.
        network: The network being trained.
    """

    def __init__(self, build: Build, run: FitRun, recipe: Recipe) -> None:
        """Builds everything untrained; see `train` for the arguments."""
        keras.utils.set_random_seed(run.seed)
        self.network = build(recipe.precision)
        self._label_smoothing = recipe.label_smoothing
        self._batches = AugmentedBatches(
            run.data.train_inputs,
            run.data.train_labels,
            recipe.batch_size,
            seed=run.seed,
            max_shift=recipe.max_shift,
            mirror=recipe.mirror,
        )
        self.step, self.steps = 0, recipe.epochs * self._batches.in_epoch
        warmup_steps = int(recipe.warmup_fraction * self.steps)
        schedule = keras.optimizers.schedules.CosineDecay(
            recipe.peak_learning_rate / 20,
            self.steps - warmup_steps,
            warmup_target=recipe.peak_learning_rate,
            warmup_steps=warmup_steps,
        )
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
        self._optimizer.build(self.network.trainable_variables)
        self._update = tf.function(self._update_network, autograph=False)

    def train_step(self) -> Mapping[str, tf.Tensor]:
        """Updates the network once.

        Returns:
            `loss`, the cross-entropy in nats, and `accuracy` of this step's images, float32 scalars.
        """
        images, labels = self._batches.batch(self.step)
        loss, accuracy = self._update(tf.constant(images), tf.constant(labels))
        self.step += 1
        return {"loss": loss, "accuracy": accuracy}

    def _update_network(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one step of AdamW on the cross-entropy with smoothed targets (Szegedy et al. 2016, section 7)."""
        with tf.GradientTape() as tape:
            logits = tf.cast(self.network(images, training=True)[0], tf.float32)
            targets = tf.one_hot(labels, logits.shape[-1])
            smooth = (1 - self._label_smoothing) * targets + self._label_smoothing / logits.shape[-1]
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits))
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32))

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

    def _state(self) -> dict[str, Any]:
        """Every variable that training changes, dropout's counters among them, by owner and position."""
        owners = {"network": self.network.variables, "optimizer": self._optimizer.variables}
        return {f"{owner}/{index}": value for owner, values in owners.items() for index, value in enumerate(values)}
