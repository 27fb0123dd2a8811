"""The fit loop of the Transformer, on TensorFlow.

All randomness follows from the seed and the step, so a run that is cut off and resumed from its checkpoint sees the
same excerpts and comes to the same weights.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from genservice import save_weights
from genservice.errors import SettingsError
from genservice_autoregressive.excerpts import RandomExcerpts, shifted
from genservice_autoregressive.network import Decoder

Progress = Callable[[int, int, dict[str, float]], None]
"""Called as `progress(step, total_steps, metrics)`; an exception it raises ends the training."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyperparameters of `train`.

    Attributes:
        steps: Number of updates.
        context: Most positions of the network, the begin token's among them.
        layers: Number of blocks.
        width: Extent of the residual stream; a multiple of 2 * heads.
        heads: Number of heads, which share one key and value.
        hidden: Extent of the hidden layer of the position-wise networks.
        characters_a_step: Characters predicted in each step, whatever the length of the excerpts.
        stages: Pairs of part of all steps and length of the excerpts. A step of long excerpts takes more time, and
            what is learnt from short ones serves long ones too.
        learning_rate: AdamW's highest learning rate, which falls along a half cosine ...
        final_learning_rate: ... to this part of it.
        warmup_steps: Steps in which it rises to the highest.
        weight_decay: AdamW's decay of all matrices.
        beta_2: AdamW's decay of the gradient's square.
        clip_norm: Greatest norm of the whole gradient.
        precision: Keras's dtype policy in training; the weights are float32 all the same.
        jit_compile: Whether XLA compiles the step. On one core with bfloat16 arithmetic, a step of excerpts of 128 took
            401 ms without XLA, 660 with it, and 524 with it in float32.
        checkpoint_seconds: Time between checkpoints.
    """

    steps: int = 4600
    context: int = 512
    layers: int = 5
    width: int = 160
    heads: int = 5
    hidden: int = 384
    characters_a_step: int = 4096
    stages: tuple[tuple[float, int], ...] = ((0.4, 128), (0.35, 256), (0.25, 512))
    learning_rate: float = 3e-3
    final_learning_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 0.1
    beta_2: float = 0.98
    clip_norm: float = 1.0
    precision: str = "mixed_bfloat16"
    jit_compile: bool = False
    checkpoint_seconds: float = 180.0

    def excerpt_length(self, step: int) -> int:
        """Characters of each excerpt in a step."""
        end = 0.0
        for part, length in self.stages:
            end += part
            if step < round(end * self.steps):
                return length
        return self.stages[-1][1]


def train(
    texts: Sequence[NDArray[np.int32]],
    characters: int,
    *,
    seed: int,
    recipe: Recipe = Recipe(),
    checkpoint_dir: Path | None = None,
    progress: Progress | None = None,
) -> Decoder:
    """Trains a decoder.

    Args:
        texts: int32 `[characters]` each, from 0 to `characters - 1`.
        characters: Number of different characters.
        seed: Seeds initial weights and excerpts.
        recipe: The hyperparameters.
        checkpoint_dir: Where the state is kept; if it holds a checkpoint, training goes on from there. None keeps none.
        progress: Told the step, the number of steps, the loss in nats a character and the time every tenth step.

    Returns:
        The decoder, in float32.

    Raises:
        SettingsError: The recipe does not fit together, or does not fit the texts.
    """
    trainer = Trainer(texts, characters, seed=seed, recipe=recipe)
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / "checkpoint.npz"
    if checkpoint is not None and checkpoint.exists():
        trainer.load(checkpoint)
    saved_at = told_at = time.monotonic()
    told_step = trainer.step
    while trainer.step < recipe.steps:
        loss = trainer.train_step()
        last = trainer.step == recipe.steps
        if progress is not None and (trainer.step % 10 == 0 or last):
            nats, now = float(loss), time.monotonic()
            ms = 1000 * (now - told_at) / (trainer.step - told_step)
            told_at, told_step = now, trainer.step
            progress(trainer.step, recipe.steps, {"nats": nats, "ms": ms})
        if checkpoint is not None and (time.monotonic() - saved_at > recipe.checkpoint_seconds or last):
            trainer.save(checkpoint)
            saved_at = time.monotonic()
    return trainer.float32_decoder()


class Trainer:
    """The decoder, its optimiser and one step of training.

    Attributes:
        step: Number of steps done.
        decoder: The decoder being trained.
    """

    def __init__(self, texts: Sequence[NDArray[np.int32]], characters: int, *, seed: int, recipe: Recipe) -> None:
        """Builds everything untrained; see `train` for the arguments and errors."""
        if recipe.width % (2 * recipe.heads):
            raise SettingsError(f"`width` is a multiple of 2 * `heads`; got {recipe.width} and {recipe.heads}.")
        lengths = [length for _, length in recipe.stages]
        if max(lengths) > recipe.context or recipe.characters_a_step % np.lcm.reduce(lengths):
            raise SettingsError(
                f"The excerpts of `stages` have at most {recipe.context} characters and divide "
                f"{recipe.characters_a_step}, `characters_a_step`; got {lengths}."
            )
        keras.utils.set_random_seed(seed)
        self.step = 0
        self._seed, self._recipe, self._characters = seed, recipe, characters
        self._excerpts = RandomExcerpts(texts, max(lengths))
        self.decoder = self._new_decoder(recipe.precision)
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(recipe.steps - recipe.warmup_steps, 1),
            alpha=recipe.final_learning_rate,
            warmup_target=recipe.learning_rate,
            warmup_steps=recipe.warmup_steps,
        )
        self._optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, beta_2=recipe.beta_2, global_clipnorm=recipe.clip_norm
        )
        self._optimizer.exclude_from_weight_decay(var_names=["scale"])
        self._optimizer.build(self.decoder.trainable_variables)
        self._update = tf.function(self._update_decoder, autograph=False, jit_compile=recipe.jit_compile)

    def train_step(self) -> tf.Tensor:
        """Updates the decoder once.

        Returns:
            The mean of -log p(x_t | x_<t) over this step's characters, in nats, a float32 scalar.
        """
        recipe = self._recipe
        length = recipe.excerpt_length(self.step)
        rng = np.random.default_rng((self._seed, self.step))
        targets = self._excerpts.draw(rng, recipe.characters_a_step // length, length)
        loss = self._update(tf.constant(shifted(targets, self._characters)), tf.constant(targets))
        self.step += 1
        return loss

    def float32_decoder(self) -> Decoder:
        """The decoder as it is now, as it is served."""
        decoder = self._new_decoder("float32")
        decoder.set_weights(self.decoder.get_weights())
        return decoder

    def save(self, path: Path) -> None:
        """Writes the whole state to an npz file, whole or not at all, and the weights beside it as they are served."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, step=self.step, **{key: value.numpy() for key, value in self._state().items()})
        partial.replace(path)
        save_weights(self.decoder, path.with_name("weights.safetensors"))

    def load(self, path: Path) -> None:
        """Restores a state written by `save` for the same recipe."""
        with np.load(path) as arrays:
            self.step = int(arrays["step"])
            for key, variable in self._state().items():
                variable.assign(arrays[key])

    def _new_decoder(self, dtype: str) -> Decoder:
        recipe = self._recipe
        return Decoder(
            characters=self._characters,
            context=recipe.context,
            layers=recipe.layers,
            width=recipe.width,
            heads=recipe.heads,
            hidden=recipe.hidden,
            dtype=dtype,
        )

    def _update_decoder(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = self.decoder(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        variables = self.decoder.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]  # The embedding's is sparse.
        self._optimizer.apply(gradients, variables)
        return loss

    def _state(self) -> dict[str, keras.Variable]:
        owners = {"decoder": self.decoder.weights, "optimizer": self._optimizer.variables}
        return {f"{owner}/{index}": value for owner, values in owners.items() for index, value in enumerate(values)}
