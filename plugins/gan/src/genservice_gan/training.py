"""The fit loop of the class-conditional GAN, on TensorFlow.

`train` is the whole recipe: it first trains the feature networks as classifiers, then the generator against the
discriminators, and returns the exponential moving average of the generator. All randomness follows from the seed and
the step, so a run that is cut off and resumed from its checkpoint sees the same batches and latents.
"""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from genservice.errors import SettingsError
from genservice_gan.discriminators import (
    build_feature_discriminator,
    build_feature_networks,
    build_pixel_discriminator,
)
from genservice_gan.generator import Generator
from genservice_gan.moments import FeatureMoments

Progress = Callable[[int, int, dict[str, float]], None]
"""Called as `progress(step, total_steps, metrics)`; an exception it raises ends the training."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyperparameters of `train`.

    Attributes:
        steps: Number of updates of generator and discriminators.
        batch_size: Real images, and as many generated ones, a step; a multiple of num_classes * group_size, since every
            batch holds each label equally often.
        feature_epochs: Passes over the images to train the feature networks.
        feature_batch_size: Images a step in these passes.
        feature_learning_rate: Initial learning rate in these passes, which falls along a half cosine to zero.
        feature_label_smoothing: Probability mass spread over all labels in these passes' targets.
        max_shift: Largest random translation in pixels in these passes.
        generator_learning_rate: Adam's initial learning rate of the generator.
        discriminator_learning_rate: Adam's initial learning rate of the discriminators.
        learning_rate_factors: What multiplies both learning rates: pairs of part of all steps and factor, with
            straight lines between.
        beta_1: Adam's decay of the gradient's mean; 0 as in StyleGAN.
        beta_2: Adam's decay of the gradient's square.
        average_decay: Decay a step of the generator's moving average.
        noise: Standard deviation of the noise on what the discriminators see. It hides that real pixels are multiples
            of 1/127.5 and that tanh never quite reaches the background's -1.
        group_size: Rows of one label compared by the minibatch deviation.
        moments_weight: Weight of `FeatureMoments` in the generator's loss ...
        moments_start: ... from this part of all steps on.
        moments_decay: Decay a step of its running averages.
        precision: Keras's dtype policy of the networks in training. The weights and their average are float32 all the
            same. On processors with bfloat16 arithmetic a mixed step takes 30 % less time than a float32 one.
        mean_style_draws: Draws of w for each label from which the truncation's means are measured.
        checkpoint_seconds: Time between checkpoints.
    """

    steps: int = 8000
    batch_size: int = 80
    feature_epochs: int = 3
    feature_batch_size: int = 128
    feature_learning_rate: float = 2e-3
    feature_label_smoothing: float = 0.1
    max_shift: int = 2
    generator_learning_rate: float = 5e-4
    discriminator_learning_rate: float = 2e-3
    learning_rate_factors: tuple[tuple[float, float], ...] = (
        (0.0, 1.0),
        (0.25, 1.0),
        (0.26, 0.4),
        (0.6, 0.4),
        (0.62, 0.2),
        (1.0, 0.01),
    )
    beta_1: float = 0.0
    beta_2: float = 0.99
    average_decay: float = 0.999
    noise: float = 0.02
    group_size: int = 4
    moments_weight: float = 0.3
    moments_start: float = 0.45
    moments_decay: float = 0.99
    precision: str = "mixed_bfloat16"
    mean_style_draws: int = 4096
    checkpoint_seconds: float = 180.0


def train(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    checkpoint_dir: Path | None = None,
    recipe: Recipe = Recipe(),
    progress: Progress | None = None,
) -> Generator:
    """Trains a generator.

    Args:
        images: Float32 `[count, height, width, channels]` in [-1, 1]; height and width divisible by 4.
        labels: Integers `[count]`, each of 0 .. num_classes - 1 at least twice.
        seed: Seeds initial weights, batches, latents and noise.
        checkpoint_dir: Where the state is kept; if it holds a checkpoint, training goes on from there. None keeps none.
        recipe: The hyperparameters.
        progress: Told the step, the number of steps and the losses every tenth step; step 0 until the feature networks
            are trained.

    Returns:
        The moving average of the generator, with `mean_styles` measured.
    """
    steps = recipe.steps
    trainer = GanTrainer(images, labels, seed=seed, recipe=recipe)
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / "checkpoint.npz"
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    else:
        trainer.train_feature_networks(lambda losses: progress(0, steps, losses) if progress is not None else None)
    saved_at = time.monotonic()
    while trainer.step < steps:
        losses = trainer.train_step()
        if progress is not None and (trainer.step % 10 == 0 or trainer.step == steps):
            progress(trainer.step, steps, {name: float(value) for name, value in losses.items()})
        due = time.monotonic() - saved_at > recipe.checkpoint_seconds or trainer.step == steps
        if checkpoint is not None and due:
            trainer.save(checkpoint)
            saved_at = time.monotonic()
    measure_mean_styles(trainer.average, seed=seed, draws=recipe.mean_style_draws)
    return trainer.average


def measure_mean_styles(generator: Generator, *, seed: int, draws: int) -> None:
    """Sets `generator.mean_styles` to the mean of w for each label (Karras et al. 2019, appendix B).

    Args:
        generator: The generator whose mapping is measured.
        seed: Seeds the latents.
        draws: Number of latents for each label.
    """
    latents = np.random.default_rng(seed).standard_normal((draws, generator.latent_dim), dtype=np.float32)
    means = [
        keras.ops.mean(generator.mapping(latents, np.full(draws, label, dtype=np.int32)), axis=0)
        for label in range(generator.num_classes)
    ]
    generator.mean_styles.assign(keras.ops.stack(means))


class GanTrainer:
    """The networks, their optimisers and one step of training.

    Attributes:
        step: Number of steps done.
        generator: The generator being trained.
        average: Its exponential moving average.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, *, seed: int, recipe: Recipe) -> None:
        """Builds everything untrained; see `train` for the arguments.

        Raises:
            SettingsError: The batch size does not fit the labels and groups.
        """
        num_classes = int(labels.max()) + 1
        multiple = num_classes * recipe.group_size
        if recipe.batch_size % multiple:
            raise SettingsError(
                f"`batch_size` is a multiple of {multiple}: {num_classes} labels by {recipe.group_size} rows; "
                f"got {recipe.batch_size}."
            )
        keras.utils.set_random_seed(seed)
        self.step = 0
        self._images = images
        self._labels = labels
        self._seed = seed
        self._recipe = recipe
        self._by_label = [np.flatnonzero(labels == label) for label in range(num_classes)]
        # Every step's labels: equally many of each, sorted, so that groups of neighbouring rows share their label.
        self._batch_labels = np.repeat(np.arange(num_classes, dtype=np.int32), recipe.batch_size // num_classes)
        self._one_hot = np.eye(num_classes, dtype=np.float32)[self._batch_labels]

        shape = images.shape[1:]
        with _dtype_policy(recipe.precision):
            self.generator = Generator(image_shape=shape, num_classes=num_classes)
            self._feature_networks = build_feature_networks(shape, num_classes)
            self._pixel_discriminator = build_pixel_discriminator(shape, num_classes, group_size=recipe.group_size)
            feature_shapes = [output.shape[1:] for network in self._feature_networks for output in network.outputs[:-1]]
            self._feature_discriminator = build_feature_discriminator(feature_shapes, num_classes)
        self.average = Generator(image_shape=shape, num_classes=num_classes, name="generator_average")
        self.average.set_weights(self.generator.get_weights())

        self._generator_optimizer = keras.optimizers.Adam(
            _schedule(recipe.generator_learning_rate, recipe), recipe.beta_1, recipe.beta_2
        )
        self._discriminator_optimizer = keras.optimizers.Adam(
            _schedule(recipe.discriminator_learning_rate, recipe), recipe.beta_1, recipe.beta_2
        )
        self._discriminator_variables = (
            self._pixel_discriminator.trainable_variables + self._feature_discriminator.trainable_variables
        )
        self._generator_optimizer.build(self.generator.trainable_variables)
        self._discriminator_optimizer.build(self._discriminator_variables)
        self._moments: list[FeatureMoments] = []
        self._moments_step = int(recipe.moments_start * recipe.steps)
        self._update = tf.function(self._update_networks, autograph=False)

    def train_feature_networks(self, report: Callable[[dict[str, float]], None]) -> None:
        """Trains the feature networks as classifiers, with translated images, and freezes them.

        Args:
            report: Told the running loss every tenth step.
        """
        recipe = self._recipe
        batch_size = min(recipe.feature_batch_size, len(self._images))
        steps = len(self._images) // batch_size
        targets = np.eye(len(self._by_label), dtype=np.float32)[self._labels]
        for index, network in enumerate(self._feature_networks):
            classifier = keras.Model(network.inputs, network.outputs[-1])
            schedule = keras.optimizers.schedules.CosineDecay(
                recipe.feature_learning_rate, recipe.feature_epochs * steps
            )
            loss = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.feature_label_smoothing
            )
            classifier.compile(keras.optimizers.Adam(schedule), loss)
            rng = np.random.default_rng((self._seed, index))
            for _ in range(recipe.feature_epochs):
                order = rng.permutation(len(self._images))[: steps * batch_size]
                for step, chosen in enumerate(order.reshape(steps, batch_size)):
                    shifted = _translate(self._images[chosen], rng, recipe.max_shift)
                    mean_loss = classifier.train_on_batch(shifted, targets[chosen])
                    if step % 10 == 0:
                        report({f"{network.name}_loss": float(mean_loss)})
            network.trainable = False

    def train_step(self) -> dict[str, tf.Tensor]:
        """Updates discriminators and generator once.

        Returns:
            The losses of this step, scalars by name.
        """
        if self.step >= self._moments_step and not self._moments:
            self._measure_moments()
        rng = np.random.default_rng((self._seed, self.step))
        rows_a_label = len(self._batch_labels) // len(self._by_label)
        chosen = np.concatenate([rng.choice(rows, rows_a_label) for rows in self._by_label])
        latents = rng.standard_normal((len(self._batch_labels), self.generator.latent_dim), dtype=np.float32)
        decay = min(self._recipe.average_decay, (1 + self.step) / (10 + self.step))
        losses = self._update(
            tf.constant(self._images[chosen]),
            tf.constant(latents),
            tf.constant([self._seed, self.step], tf.int64),
            tf.constant(decay, tf.float32),
        )
        self.step += 1
        return losses

    def _measure_moments(self) -> None:
        """Starts the matching of moments: measures the real ones, and has the step traced anew."""
        rng = np.random.default_rng(self._seed)
        predict = tf.function(lambda network, batch: network(batch, training=False)[-2], autograph=False)
        for network in self._feature_networks:
            parts = []
            for start in range(0, len(self._images), 500):
                batch = self._images[start : start + 500]
                noisy = batch + self._recipe.noise * rng.standard_normal(batch.shape, dtype=np.float32)
                parts.append(tf.cast(predict(network, tf.constant(noisy)), tf.float32).numpy())
            moments = FeatureMoments(np.concatenate(parts), self._labels, decay=self._recipe.moments_decay)
            self._moments.append(moments)
        self._update = tf.function(self._update_networks, autograph=False)

    def _update_networks(
        self, images: tf.Tensor, latents: tf.Tensor, noise_seed: tf.Tensor, decay: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one simultaneous gradient step of both players, from one shared forward pass.

        Args:
            images: Real images of `_batch_labels`, float32 `[batch, height, width, channels]`.
            latents: z, float32 `[batch, latent_dim]`.
            noise_seed: Int64 `[2]`.
            decay: Decay of the moving average, float32 scalar.

        Returns:
            The losses, float32 scalars by name.
        """
        recipe = self._recipe
        batch = len(self._batch_labels)
        with tf.GradientTape(persistent=True) as tape:
            generated = self.generator(latents, self._batch_labels)
            both = tf.concat([images, tf.cast(generated, tf.float32)], axis=0)
            both += recipe.noise * tf.random.stateless_normal(both.shape, noise_seed)
            outputs = [network(both, training=False) for network in self._feature_networks]
            features = [output for network_outputs in outputs for output in network_outputs[:-1]]
            one_hot = tf.concat([self._one_hot, self._one_hot], axis=0)
            logits = [self._pixel_discriminator((both, one_hot), training=True)]
            logits += self._feature_discriminator((features, one_hot), training=True)
            logits = [tf.cast(head, tf.float32) for head in logits]
            # The hinge losses (Miyato et al. 2018, arXiv:1802.05957, eqs. 16 and 17), summed over the heads.
            discriminator_loss = tf.add_n(
                [
                    tf.reduce_mean(tf.nn.relu(1.0 - head[:batch])) + tf.reduce_mean(tf.nn.relu(1.0 + head[batch:]))
                    for head in logits
                ]
            )
            adversarial_loss = tf.add_n([-tf.reduce_mean(head[batch:]) for head in logits])
            generator_loss = adversarial_loss
            for moments, network_outputs in zip(self._moments, outputs, strict=False):
                generator_loss += recipe.moments_weight * moments.loss(tf.cast(network_outputs[-2][batch:], tf.float32))
        # How well the frozen classifiers recognise the labels of the generated images; a measure, not an aim.
        class_scores = [tf.cast(network_outputs[-1][batch:], tf.float32) for network_outputs in outputs]
        losses = {
            "discriminator_loss": discriminator_loss,
            "generator_loss": adversarial_loss,
            "classification_loss": tf.add_n(
                [tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(self._one_hot, each)) for each in class_scores]
            ),
            **{f"moments{index}_distance": moments.distance() for index, moments in enumerate(self._moments)},
        }
        discriminator_gradients = tape.gradient(discriminator_loss, _values(self._discriminator_variables))
        generator_gradients = tape.gradient(generator_loss, _values(self.generator.trainable_variables))
        self._discriminator_optimizer.apply(discriminator_gradients, self._discriminator_variables)
        self._generator_optimizer.apply(generator_gradients, self.generator.trainable_variables)
        for average, current in zip(self.average.weights, self.generator.weights, strict=True):
            average.assign(current + decay * (average - current))
        return losses

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
            if self.step > self._moments_step:
                self._measure_moments()  # With the feature networks' weights just restored.
                for key, variable in self._state().items():
                    variable.assign(arrays[key])
        for network in self._feature_networks:
            network.trainable = False

    def _state(self) -> dict[str, keras.Variable | tf.Variable]:
        """Returns every variable that training changes, by owner and position."""
        owners = {
            "generator": self.generator.weights,
            "average": self.average.weights,
            "pixel_discriminator": self._pixel_discriminator.weights,
            "feature_discriminator": self._feature_discriminator.weights,
            "generator_optimizer": self._generator_optimizer.variables,
            "discriminator_optimizer": self._discriminator_optimizer.variables,
            **{network.name: network.weights for network in self._feature_networks},
            **{f"moments{index}": moments.variables for index, moments in enumerate(self._moments)},
        }
        return {
            f"{owner}/{index}": variable
            for owner, variables in owners.items()
            for index, variable in enumerate(variables)
            if variable.dtype != "uint32"  # The dropout layers' random state.
        }


class _Polyline(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate along straight lines between given points, and constant before and after them."""

    def __init__(self, steps: Sequence[float], rates: Sequence[float]) -> None:
        """Keeps the points: increasing step numbers, and the learning rates there."""
        self._steps = steps
        self._rates = rates

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the learning rate of a step."""
        step = keras.ops.cast(step, "float32")
        rate = self._rates[0]
        for (start, end), (low, high) in zip(
            itertools.pairwise(self._steps), itertools.pairwise(self._rates), strict=True
        ):
            rate += keras.ops.clip((step - start) / (end - start), 0.0, 1.0) * (high - low)
        return rate

    def get_config(self) -> dict[str, object]:
        """Returns the arguments of the constructor."""
        return {"steps": self._steps, "rates": self._rates}


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Makes `name` the dtype policy of the layers built inside."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _schedule(learning_rate: float, recipe: Recipe) -> _Polyline:
    """Returns the schedule of one player's learning rate."""
    fractions, factors = zip(*recipe.learning_rate_factors, strict=True)
    return _Polyline(
        [recipe.steps * fraction for fraction in fractions], [learning_rate * factor for factor in factors]
    )


def _values(variables: list[keras.Variable]) -> list[tf.Variable]:
    """Returns the TensorFlow variables behind Keras's."""
    return [variable.value for variable in variables]


def _translate(images: np.ndarray, rng: np.random.Generator, max_shift: int) -> np.ndarray:
    """Moves each image by its own random whole number of pixels, filling with the background, -1."""
    count, height, width, _ = images.shape
    border = (max_shift, max_shift)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)), constant_values=-1.0)
    top, left = rng.integers(0, 2 * max_shift + 1, size=(2, count, 1))
    rows, columns = top + np.arange(height), left + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
