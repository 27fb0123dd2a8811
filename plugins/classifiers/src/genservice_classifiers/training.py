"""Fit loops of the classifiers. Pure Keras: they run on any Keras backend."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from genservice_classifiers.networks import build_cnn, build_logistic_regression

Progress = Callable[[int, int, dict[str, float]], None]
"""Called as `progress(step, total_steps, metrics)`; an exception it raises ends the training."""


@dataclasses.dataclass(frozen=True)
class CnnRecipe:
    """Hyperparameters of `train_cnn`.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images a step.
        peak_learning_rate: Learning rate after the warm-up, from where it falls along a half cosine to zero.
        warmup_fraction: Part of all steps in which the learning rate rises linearly.
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
        label_smoothing: Probability mass spread evenly over all labels in the targets.
        max_shift: Largest random translation in pixels, each axis.
        mirror: Whether to mirror images at random; clothes seen in a mirror keep their label.
    """

    epochs: int = 12
    batch_size: int = 128
    peak_learning_rate: float = 4e-3
    warmup_fraction: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    max_shift: int = 2
    mirror: bool = True


@dataclasses.dataclass(frozen=True)
class LogisticRecipe:
    """Hyperparameters of `train_logistic_regression`.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images a step.
        peak_learning_rate: Initial learning rate, which falls along a half cosine to zero.
        weight_decay: Decoupled weight decay.
    """

    epochs: int = 15
    batch_size: int = 256
    peak_learning_rate: float = 1e-3
    weight_decay: float = 1e-3


def train_cnn(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    recipe: CnnRecipe = CnnRecipe(),
    progress: Progress | None = None,
) -> keras.Model:
    """Trains the convolutional classifier with AdamW, a warm-up with cosine decay, and light augmentation.

    Args:
        images: Float32 `[count, height, width, channels]` in [-1, 1].
        labels: Integers `[count]`, all of 0 .. num_classes - 1 present.
        seed: Seeds initial weights, order, augmentation and dropout.
        recipe: The hyperparameters.
        progress: Told the step, the number of steps and the running `loss` and `accuracy` a few times a second at most.

    Returns:
        The trained model of `build_cnn`.
    """
    keras.utils.set_random_seed(seed)
    num_classes = int(labels.max()) + 1
    model = build_cnn(images.shape[1:], num_classes)
    batches = AugmentedBatches(
        images, labels, recipe.batch_size, seed=seed, max_shift=recipe.max_shift, mirror=recipe.mirror
    )
    steps = recipe.epochs * len(batches)
    warmup_steps = int(recipe.warmup_fraction * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.peak_learning_rate / 20,
        steps - warmup_steps,
        warmup_target=recipe.peak_learning_rate,
        warmup_steps=warmup_steps,
    )
    logits_model = keras.Model(model.inputs, model.outputs[0])
    _fit(logits_model, batches, schedule, recipe.weight_decay, recipe.label_smoothing, recipe.epochs, progress)
    return model


def train_logistic_regression(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    recipe: LogisticRecipe = LogisticRecipe(),
    progress: Progress | None = None,
) -> keras.Model:
    """Trains multinomial logistic regression by minimising the cross-entropy with AdamW.

    Args:
        images: Float32 `[count, height, width, channels]` in [-1, 1].
        labels: Integers `[count]`, all of 0 .. num_classes - 1 present.
        seed: Seeds the order of the images.
        recipe: The hyperparameters.
        progress: Told the step, the number of steps and the running `loss` and `accuracy` a few times a second at most.

    Returns:
        The trained model of `build_logistic_regression`.
    """
    keras.utils.set_random_seed(seed)
    model = build_logistic_regression(images.shape[1:], int(labels.max()) + 1)
    batches = AugmentedBatches(images, labels, recipe.batch_size, seed=seed, max_shift=0, mirror=False)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.peak_learning_rate, recipe.epochs * len(batches))
    _fit(model, batches, schedule, recipe.weight_decay, 0.0, recipe.epochs, progress)
    return model


class AugmentedBatches(keras.utils.PyDataset):
    """Shuffled batches of randomly translated and mirrored images.

    Batch `index` of an epoch depends on the seed, the epoch and the index alone.

    Attributes:
        images: Float32 `[count, height, width, channels]` in [-1, 1].
        labels: Integers `[count]`.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, batch_size: int, *, seed: int, max_shift: int, mirror: bool
    ) -> None:
        """Keeps the arrays; see `AugmentedBatches` and `CnnRecipe` for the arguments."""
        super().__init__()
        self.images = images
        self.labels = labels
        self._batch_size = batch_size
        self._seed = seed
        self._max_shift = max_shift
        self._mirror = mirror
        self._epoch = 0
        self._order = np.random.default_rng((seed, 0)).permutation(len(images))

    def __len__(self) -> int:
        """Returns the number of batches an epoch; the last may be smaller."""
        return -(-len(self.images) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images and labels of one batch."""
        rng = np.random.default_rng((self._seed, self._epoch, index + 1))
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return augment(self.images[chosen], rng, max_shift=self._max_shift, mirror=self._mirror), self.labels[chosen]

    def on_epoch_end(self) -> None:
        """Draws the next epoch's order."""
        self._epoch += 1
        self._order = np.random.default_rng((self._seed, self._epoch)).permutation(len(self.images))


def augment(images: np.ndarray, rng: np.random.Generator, *, max_shift: int, mirror: bool) -> np.ndarray:
    """Translates each image by its own whole number of pixels and mirrors half of them.

    Args:
        images: Float32 `[batch, height, width, channels]` in [-1, 1]; -1, the background, fills what is shifted in.
        rng: Source of randomness.
        max_shift: Largest translation in pixels, each axis.
        mirror: Whether to mirror left to right with probability 1/2.

    Returns:
        A new array like `images`.
    """
    batch, height, width, _ = images.shape
    border = (max_shift, max_shift)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)), constant_values=-1.0)
    top, left = rng.integers(0, 2 * max_shift + 1, size=(2, batch, 1))
    rows, columns = top + np.arange(height), left + np.arange(width)
    if mirror:
        columns = np.where(rng.random((batch, 1)) < 0.5, columns[:, ::-1], columns)
    return padded[np.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


class _ReportProgress(keras.callbacks.Callback):
    """Passes Keras's batch events on to a `Progress` function, every tenth step and at the end."""

    def __init__(self, progress: Progress, total_steps: int) -> None:
        super().__init__()
        self._progress = progress
        self._total_steps = total_steps
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step += 1
        if self._step % 10 == 0 or self._step == self._total_steps:
            self._progress(self._step, self._total_steps, {key: float(value) for key, value in (logs or {}).items()})


def _fit(
    model: keras.Model,
    batches: AugmentedBatches,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float,
    label_smoothing: float,
    epochs: int,
    progress: Progress | None,
) -> None:
    """Minimises the cross-entropy of `model`'s logits in place."""
    num_classes = model.outputs[0].shape[-1]
    targets = np.eye(num_classes, dtype="float32")[batches.labels]
    batches.labels = targets
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=weight_decay),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    callbacks = [] if progress is None else [_ReportProgress(progress, epochs * len(batches))]
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
