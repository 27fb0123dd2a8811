"""The classes that a model author writes against.

A model is one class: `Model` with the capabilities it has. It is made in two stages. `__init__(config)` is light: it
runs in the server process, imports neither TensorFlow nor Keras, and says what the model offers. `load(directory)`
reads the weights; it runs in the worker, and only there.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from genservice.model import options as options_module
from genservice.model.fit import FitRun
from genservice.model.noise import Noise
from genservice.model.specs import TensorSpec


class Determinism(StrEnum):
    """How far two draws of one sample address agree."""

    SAME_DRAWS = "SAME_DRAWS"
    """The same random numbers; float32 outputs equal to `Model.tolerance`."""
    BITWISE = "BITWISE"
    """The same bits wherever the numerics fingerprint is equal; the model is compiled and has one batch size."""


class ScoreKind(StrEnum):
    """How a score relates to log p(x)."""

    EXACT = "EXACT"
    LOWER_BOUND = "LOWER_BOUND"
    UNNORMALIZED = "UNNORMALIZED"


class Model(ABC):
    """Base of all models.

    Args:
        config: What `fit` returned when the version was made, from its `model.toml`.

    Attributes:
        family: Name of the family, unique among all plugins, such as `gan`.
        Options: Options of every verb of the model; per row unless marked `Static`.
        event: One row that the model samples, classifies, scores or embeds.
        labels: Names of the classes, for models that know classes.
        conditions: Other inputs of a draw, by name; a request gives all of them.
        media_types: What `encode` can make of a sample.
        determinism: How far two draws of one address agree.
        tolerance: Greatest absolute difference between two float32 draws of one address, under SAME_DRAWS.
        traced: Whether the engine traces the verbs with `tf.function`. A model that sets False is called with NumPy
            arrays, and with lists where an option is a string.
    """

    family: ClassVar[str]
    Options: type[options_module.Options] = options_module.Options
    event: TensorSpec
    labels: Sequence[str] = ()
    conditions: Mapping[str, TensorSpec] = {}
    media_types: Sequence[str] = ()
    determinism: Determinism = Determinism.SAME_DRAWS
    tolerance: float = 1e-5
    traced: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def load(self, directory: Path) -> None:
        """Reads the weights of a version; called once, in the worker, before any verb.

        Args:
            directory: The version's folder. Its files have been checked against their hashes.
        """

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains a version.

        Args:
            run: Where to write, what to train on, the seed and the settings.

        Returns:
            The version's config: what `__init__` needs, as TOML can hold it.
        """
        raise NotImplementedError(f"The family {cls.family!r} cannot be trained here.")


class Generator(Model):
    """Samples p(x), or p(x | conditions)."""

    @abstractmethod
    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws one sample a row.

        Args:
            noise: The only source of randomness.
            options: One attribute an option: a tensor `[batch]`, or a Python value where static.
            conditions: Tensors `[batch, ...]` by name.

        Returns:
            `[batch, *event.shape]` in the event's type.
        """

    def encode_media(self, media_type: str, sample: NDArray[Any]) -> bytes:
        """Makes a file of one sample; called in a thread of the worker.

        Args:
            media_type: One of `media_types`.
            sample: `event.shape`, in the event's type.

        Returns:
            The file's bytes. Images of an event with bounds are made by default.
        """
        from genservice.model.media import encode_image

        return encode_image(media_type, sample, self.event)


class IterativeGenerator(Generator):
    """A generator whose samples take many steps; its rows live in slots, in place, and join and leave at any step."""

    @abstractmethod
    def allocate(self, slots: int) -> Any:
        """Makes the state, once, for the most slots."""

    @abstractmethod
    def enter(self, state: Any, slots: Any, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> None:
        """Writes new rows into slots, in place."""

    @abstractmethod
    def step(self, state: Any, noise: Noise, active: Any) -> Any:
        """Advances the dense prefix of active slots by one step.

        Returns:
            bool `[active]`: which rows are done.
        """

    @abstractmethod
    def finish(self, state: Any, slots: Any) -> Any:
        """Gives the samples of slots; also used for previews."""


class Classifier(Model):
    """Gives p(label | x)."""

    @abstractmethod
    def logits(self, inputs: Any, options: Any) -> Any:
        """Log probabilities up to a constant a row.

        Args:
            inputs: `[batch, *event.shape]`.
            options: As in `Generator.sample`.

        Returns:
            float32 or float64 `[batch, labels]`.
        """


class Scorer(Model):
    """Gives log p(x)."""

    score_kind: ScoreKind = ScoreKind.EXACT

    @abstractmethod
    def log_prob(self, inputs: Any, options: Any) -> Any:
        """Natural logarithm of the density or mass of each row.

        Returns:
            float32 or float64 `[batch]`.
        """


class Latent(Model):
    """Has a latent space."""

    latent: TensorSpec

    @abstractmethod
    def encode(self, inputs: Any, options: Any) -> Any:
        """Maps `[batch, *event.shape]` to `[batch, *latent.shape]`."""

    @abstractmethod
    def decode(self, latents: Any, options: Any) -> Any:
        """Maps `[batch, *latent.shape]` to `[batch, *event.shape]`."""


class Embedder(Model):
    """Gives vectors whose distances mean something."""

    @abstractmethod
    def embed(self, inputs: Any, options: Any) -> Any:
        """Maps `[batch, *event.shape]` to float32 `[batch, dimensions]`."""


class Tagger(Model):
    """Gives one label to each position of a sequence."""

    @abstractmethod
    def tag(self, inputs: Any, options: Any) -> Any:
        """Maps `[batch, positions, ...]` to int64 `[batch, positions]`."""
