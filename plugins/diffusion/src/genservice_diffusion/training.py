"""The fit loop of the denoiser, on TensorFlow.

`train` is the whole recipe; it returns the exponential moving average of the denoiser. All randomness follows from the
seed and the step, so a run that is cut off and resumed from its checkpoint sees the same batches and noise.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from genservice import save_weights
from genservice.errors import SettingsError
from genservice_diffusion.denoiser import ATTENTION_HEADS, CHANNELS, Denoiser
from genservice_diffusion.layers import MPDense

Progress = Callable[[int, int, dict[str, float]], None]
"""Called as `progress(step, total_steps, metrics)`; an exception it raises ends the training."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyperparameters of `train`.

    Attributes:
        steps: Number of updates.
        batch_size: Images a step.
        learning_rate: Adam's learning rate at its highest.
        warmup: Part of all steps in which the learning rate rises to it.
        decay_start: Part of all steps after which it falls, along a half cosine, to zero.
        beta_1: Adam's decay of the gradient's mean.
        beta_2: Adam's decay of the gradient's square.
        average_decay: Decay a step of the moving average of the weights.
        log_sigma_mean: Mean of ln sigma, P_mean of EDM (section 5).
        log_sigma_deviation: Standard deviation of ln sigma, P_std of EDM.
        label_dropout: Part of the rows that are shown without their label, for classifier-free guidance
            (Ho & Salimans 2022, arXiv:2207.12598, algorithm 1).
        precision: Keras's dtype policy of the network in training. The weights and their average are float32 all the
            same.
        checkpoint_seconds: Time between checkpoints.
    """

    steps: int = 13500
    batch_size: int = 64
    learning_rate: float = 7e-3
    warmup: float = 0.02
    decay_start: float = 0.25
    beta_1: float = 0.9
    beta_2: float = 0.99
    average_decay: float = 0.999
    log_sigma_mean: float = -0.8
    log_sigma_deviation: float = 1.4
    label_dropout: float = 0.12
    precision: str = "mixed_bfloat16"
    checkpoint_seconds: float = 180.0


def train(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    seed: int,
    checkpoint_dir: Path | None = None,
    recipe: Recipe = Recipe(),
    progress: Progress | None = None,
    channels: Sequence[int] = CHANNELS,
    attention_heads: int = ATTENTION_HEADS,
) -> Denoiser:
    """Trains a denoiser.

    Args:
        images: Float32 `[count, height, width, channels]` in [-1, 1]; height and width divisible by 4.
        labels: Integers `[count]`, each of 0 .. num_classes - 1.
        num_classes: Number of labels.
        seed: Seeds initial weights, batches, dropped labels and noise.
        checkpoint_dir: Where the state is kept, and the average so far as `average.safetensors`; if it holds a
            checkpoint, training goes on from there. None keeps none.
        recipe: The hyperparameters.
        progress: Told the step, the number of steps and the loss every tenth step.
        channels: See `UNet`.
        attention_heads: See `UNet`.

    Returns:
        The moving average of the denoiser, in float32.
    """
    trainer = DenoiserTrainer(
        images,
        labels,
        num_classes=num_classes,
        seed=seed,
        recipe=recipe,
        channels=channels,
        attention_heads=attention_heads,
    )
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / "checkpoint.npz"
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    saved_at = time.monotonic()
    while trainer.step < recipe.steps:
        loss = trainer.train_step()
        if progress is not None and (trainer.step % 10 == 0 or trainer.step == recipe.steps):
            progress(trainer.step, recipe.steps, {"loss": float(loss)})
        due = time.monotonic() - saved_at > recipe.checkpoint_seconds or trainer.step == recipe.steps
        if checkpoint is not None and due:
            trainer.save(checkpoint)
            save_weights(trainer.average, checkpoint.with_name("average.safetensors"))
            saved_at = time.monotonic()
    return trainer.average


class DenoiserTrainer:
    """The denoiser, its average, its optimiser and one step of training.

    Attributes:
        step: Number of steps done.
        denoiser: The denoiser being trained.
        average: Its exponential moving average.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        num_classes: int,
        seed: int,
        recipe: Recipe,
        channels: Sequence[int] = CHANNELS,
        attention_heads: int = ATTENTION_HEADS,
    ) -> None:
        """Builds everything untrained; see `train` for the arguments.

        Raises:
            SettingsError: A setting lies outside its range.
        """
        if not 0 <= recipe.label_dropout < 1:
            raise SettingsError(f"label_dropout is a part, from 0 to below 1; got {recipe.label_dropout:g}.")
        if recipe.batch_size < 1 or recipe.steps < 1:
            raise SettingsError("The training takes at least one step of at least one image.")
        keras.utils.set_random_seed(seed)
        self.step = 0
        self._recipe = recipe
        self._seed = seed
        self._images = images
        self._labels = labels.astype(np.int32)
        described = {
            "image_shape": images.shape[1:],
            "num_classes": num_classes,
            "data_mean": float(images.mean(dtype=np.float64)),
            "sigma_data": float(images.std(dtype=np.float64)),
            "channels": channels,
            "attention_heads": attention_heads,
        }
        self.denoiser = Denoiser(**described, dtype=recipe.precision)
        self.average = Denoiser(**described, dtype="float32", name="average")
        self._kernels = [layer for layer in self.denoiser._flatten_layers() if isinstance(layer, MPDense)]
        self._optimizer = keras.optimizers.Adam(_Schedule(recipe), recipe.beta_1, recipe.beta_2)
        self._optimizer.build(self.denoiser.trainable_variables)
        self._normalise_kernels()
        self.average.set_weights(self.denoiser.get_weights())
        self._update = tf.function(self._update_network, autograph=False)

    def train_step(self) -> tf.Tensor:
        """Updates the denoiser once.

        Returns:
            The loss of this step, float32 scalar.
        """
        recipe = self._recipe
        rng = np.random.default_rng((self._seed, self.step))
        rows = recipe.batch_size
        chosen = rng.integers(0, len(self._images), rows)
        labels = np.where(rng.random(rows) < recipe.label_dropout, self.denoiser.num_classes, self._labels[chosen])
        # One draw in each of as many equal parts of the probability: less variance than independent draws
        # (Kingma et al. 2021, arXiv:2107.00630, appendix I.1).
        quantiles = (np.arange(rows) + rng.random(rows)) / rows
        normal = np.sqrt(2) * tf.math.erfinv(2 * quantiles - 1).numpy()
        sigmas = np.exp(recipe.log_sigma_mean + recipe.log_sigma_deviation * normal)
        decay = min(recipe.average_decay, (1 + self.step) / (10 + self.step))
        loss = self._update(
            tf.constant(self._images[chosen]),
            tf.constant(labels, tf.int32),
            tf.constant(sigmas, tf.float32),
            tf.constant(rng.standard_normal(self._images[chosen].shape, dtype=np.float32)),
            tf.constant(decay, tf.float32),
        )
        self.step += 1
        return loss

    def _update_network(
        self, images: tf.Tensor, labels: tf.Tensor, sigmas: tf.Tensor, noise: tf.Tensor, decay: tf.Tensor
    ) -> tf.Tensor:
        """Takes one gradient step on EDM's loss (eq. 2, with the weighting of table 1).

        Args:
            images: y, float32 `[batch, height, width, channels]`.
            labels: int32 `[batch]`.
            sigmas: Float32 `[batch]`.
            noise: n / sigma, standard normal, in the shape of the images.
            decay: Decay of the moving average, float32 scalar.

        Returns:
            The loss, float32 scalar.
        """
        sigma_data = self.denoiser.sigma_data
        weights = (sigmas**2 + sigma_data**2) / (sigmas * sigma_data) ** 2
        with tf.GradientTape() as tape:
            denoised = self.denoiser(images + sigmas[:, None, None, None] * noise, sigmas, labels)
            loss = tf.reduce_mean(weights[:, None, None, None] * tf.square(denoised - images))
        variables = self.denoiser.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        self._normalise_kernels()
        for average, current in zip(self.average.weights, self.denoiser.weights, strict=True):
            average.assign(current + decay * (average - current))
        return loss

    def _normalise_kernels(self) -> None:
        """Forces the kernels back to unit magnitude: the learning rate alone sets the pace (EDM2, section 2.3)."""
        for layer in self._kernels:
            layer.kernel.assign(layer.normalised_kernel())

    def save(self, path: Path) -> None:
        """Writes the whole state to an npz file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
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

    def _state(self) -> dict[str, keras.Variable]:
        """Returns every variable that training changes, by owner and position."""
        owners = {
            "denoiser": self.denoiser.weights,
            "average": self.average.weights,
            "optimizer": self._optimizer.variables,
        }
        return {
            f"{owner}/{index}": variable
            for owner, variables in owners.items()
            for index, variable in enumerate(variables)
        }


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises along a line, stays, and falls along a half cosine."""

    def __init__(self, recipe: Recipe) -> None:
        """Takes the course from a recipe."""
        self._recipe = recipe

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the learning rate of a step."""
        recipe = self._recipe
        done = (keras.ops.cast(step, "float32") + 1.0) / recipe.steps
        rise = keras.ops.minimum(done / recipe.warmup, 1.0)
        fall = keras.ops.clip((done - recipe.decay_start) / (1.0 - recipe.decay_start), 0.0, 1.0)
        return recipe.learning_rate * rise * 0.5 * (1.0 + keras.ops.cos(np.pi * fall))

    def get_config(self) -> dict[str, object]:
        """Returns the arguments of the constructor."""
        return {"recipe": self._recipe}
