"""The classes that a model author writes against.

A model is one class: `Model` with the capabilities it has. It is made in two stages. `__init__(config)` is light: it
runs in the server process, imports neither TensorFlow nor Keras, and says what the model offers. `load(directory)`
reads the weights; it runs in the worker, and only there.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        event: One row that the model samples, classifies, scores or embeds; a model that only predicts needs none.
        labels: Names of the classes, for models that know classes.
        conditions: Other inputs of a draw, by name; a request gives all that have no default.
        tokens: What `tokenize` makes of a string of the event or of a condition, before the model gets it: int32
            `[length]`, padded with -1. None: the model knows no tokens.
        media_types: What `encode` can make of a sample.
        determinism: How far two draws of one address agree.
        tolerance: Greatest absolute difference between two float32 draws of one address, under SAME_DRAWS.
        needs_trust: Whether a version holds a graph of its maker's own, which can read and write files. Such a version
            is refused unless the setting `engine.trust_graphs` is true.
        traced: Whether the engine traces the verbs with `tf.function`. A model that sets False is called with NumPy
            arrays, and with lists where an option is a string.
    """

    family: ClassVar[str]
    Options: type[options_module.Options] = options_module.Options
    event: TensorSpec
    labels: Sequence[str] = ()
    conditions: Mapping[str, TensorSpec] = {}
    tokens: TensorSpec | None = None
    media_types: Sequence[str] = ()
    determinism: Determinism = Determinism.SAME_DRAWS
    tolerance: float = 1e-5
    needs_trust: ClassVar[bool] = False
    traced: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def load(self, directory: Path) -> None:
        """Reads the weights of a version; called once, in the worker, before any verb.

        Args:
            directory: The version's folder. Its files have been checked against their hashes.
        """

    def tokenize(self, text: str) -> NDArray[Any]:
        """Makes tokens of a string; called in the server process, before anything is queued.

        Several threads may call it at once: a tokenizer that it keeps has to bear that.

        Returns:
            int32, in the shape of `tokens`, padded with -1.

        Raises:
            ValueError: The text is too long, or has what the model does not know; the message is the client's.
        """
        raise NotImplementedError(f"The family {self.family!r} has no tokens.")

    def validate(self, verb: str, options: Any, inputs: Mapping[str, Any]) -> None:  # noqa: B027 - few models need it
        """Checks what the declarations cannot say; called in the server process, before anything is queued.

        Several threads may call it at once.

        Args:
            verb: Such as `sample`.
            options: The request's options.
            inputs: By name: rows as the request gave them.

        Raises:
            InvalidRequest: Something is wrong with them together.
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
    """A generator whose samples take many steps; its rows live in slots, in place, and join and leave at any step.

    The engine owns the slots. It keeps the live rows in a dense prefix, and where a row leaves it moves another into
    its slot by copying every variable of the state along the first dimension. Rows of one step differ in everything:
    how far they are, their options and their conditions; whatever a row needs is written into its slot by `enter`.
    """

    @abstractmethod
    def allocate(self, slots: int) -> Mapping[str, Any]:
        """Makes the state, once, outside of any graph.

        Args:
            slots: The most rows at a time.

        Returns:
            By name: `tf.Variable`s whose first dimension is `slots`, or NumPy arrays where the model is not `traced`.
        """

    @abstractmethod
    def enter(
        self, state: Mapping[str, Any], slots: Any, noise: Noise, options: Any, conditions: Mapping[str, Any]
    ) -> None:
        """Writes new rows into slots, in place.

        Args:
            state: What `allocate` made.
            slots: int32 `[rows]`. A slot may come twice, with equal rows: batches are padded with their last row.
            noise: Of these rows, at step 0.
            options: As in `sample`, `[rows]`.
            conditions: As in `sample`, `[rows, ...]`.
        """

    @abstractmethod
    def step(self, state: Mapping[str, Any], noise: Noise, active: int) -> Any:
        """Advances the rows in the first slots by one step, in place.

        Args:
            state: What `allocate` made.
            noise: Of these rows, each at its own step: a row's first step is 1.
            active: How many slots. The last of them may hold no live row: what becomes of those does not matter, as
                long as they do no harm.

        Returns:
            bool `[active]`: which rows are done.
        """

    @abstractmethod
    def finish(self, state: Mapping[str, Any], slots: Any) -> Any:
        """Gives the samples of slots as they are now; asked when a row is done, and for previews.

        Args:
            state: What `allocate` made.
            slots: int32 `[rows]`.

        Returns:
            `[rows, *event.shape]` in the event's type.
        """

    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws a batch by itself, without the engine: rows enter together, and leave when the last is done."""
        import numpy as np

        rows = noise.rows
        state = self.allocate(rows)
        slots = np.arange(rows, dtype=np.int32)
        self.enter(state, slots, noise, options, conditions)
        done = np.zeros(rows, bool)
        samples: Any = None
        step = 0
        while not done.all():
            step += 1
            newly = np.asarray(self.step(state, noise.at_step(step), rows)) & ~done
            finished = np.asarray(self.finish(state, slots))
            samples = finished.copy() if samples is None else samples
            samples[newly] = finished[newly]
            done |= newly
        return samples


class TextGenerator(IterativeGenerator):
    """An iterative generator of text: each step gives a row at most one token.

    The engine gathers the tokens, makes text of them, and ends a row at a stop string where the options have
    `stop: tuple[str, ...]`. The event is a string, and `tokens` is set.
    """

    event = TensorSpec((), "string")

    @abstractmethod
    def step(self, state: Mapping[str, Any], noise: Noise, active: int) -> Any:
        """Advances the rows in the first slots by one step, in place.

        Returns:
            bool `[active]`: which rows are done; int32 `[active]`: the token that each row got, -1 where it got none.
        """

    @abstractmethod
    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of consecutive tokens; the texts of parts make the text of the whole."""

    def finish(self, state: Mapping[str, Any], slots: Any) -> Any:
        """Nothing: what a row of text is, its steps have told."""
        raise NotImplementedError("The tokens of a row come from its steps.")

    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws a batch of texts by itself, without the engine."""
        import numpy as np

        rows = noise.rows
        state = self.allocate(rows)
        self.enter(state, np.arange(rows, dtype=np.int32), noise, options, conditions)
        drawn: list[list[int]] = [[] for _ in range(rows)]
        done = np.zeros(rows, bool)
        step = 0
        while not done.all():
            step += 1
            newly, tokens = (np.asarray(part) for part in self.step(state, noise.at_step(step), rows))
            for row in np.flatnonzero(~done & (tokens >= 0)):
                drawn[row].append(int(tokens[row]))
            done |= newly
        return [self.detokenize(row) for row in drawn]


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


class Comparer(Embedder):
    """Tells whether two inputs show the same: by the Euclidean distance of their embeddings.

    Attributes:
        threshold: Two inputs whose embeddings are closer than this show the same.
    """

    threshold: float


class Retriever(Model):
    """Finds the nearest rows of a reference set.

    Attributes:
        reference_rows: Rows of the reference set; a request asks for at most as many neighbours.
    """

    reference_rows: int

    @abstractmethod
    def neighbours(self, inputs: Any, k: Any, options: Any) -> tuple[Any, Any]:
        """Finds the nearest reference rows of each input.

        Args:
            inputs: `[batch, *event.shape]`.
            k: How many; an int32 scalar, equal for the whole batch.
            options: As in `Generator.sample`.

        Returns:
            Places in the reference set, int64 `[batch, k]`, the nearest first; distances, float32 `[batch, k]`.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Sequences of different lengths, padded by repeating their last position.

    Args:
        values: `[batch, positions, *event.shape]`; of tokens `[batch, positions, *tokens.shape]`.
        lengths: Positions of each sequence that are no padding, int32 `[batch]`, 1 or greater.
    """

    values: Any
    lengths: Any


class Tagger(Model):
    """Gives one label to each position of a sequence.

    Attributes:
        event: One position of a sequence. Where it is a string, `tokenize` makes `tokens` of each position's string.
        positions: Most positions of a sequence.
    """

    positions: int

    @abstractmethod
    def tag(self, sequences: Sequences, options: Any) -> tuple[Any, Any]:
        """Finds the most probable labelling of each sequence.

        Returns:
            Places in `labels`, int32 `[batch, positions]`; p(label at the position | sequence), float32
            `[batch, positions, labels]`. What stands in the padding does not matter.
        """


class LabellingScorer(Tagger):
    """A tagger that gives log p(labelling | sequence)."""

    score_kind: ScoreKind = ScoreKind.EXACT

    @abstractmethod
    def labelling_log_prob(self, sequences: Sequences, labels: Any, options: Any) -> Any:
        """Natural logarithm of the probability of a labelling.

        Args:
            sequences: What is labelled.
            labels: Places in `labels`, int32 `[batch, positions]`; padded as the sequences are.
            options: As in `Generator.sample`.

        Returns:
            float32 or float64 `[batch]`.
        """


@dataclass(frozen=True, slots=True)
class Signature:
    """A function of a model: what it takes and what it gives.

    Args:
        inputs: By name; each has a leading row dimension, as have the outputs.
        outputs: By name.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class Predictor(Model):
    """Has functions that are called as they are.

    Attributes:
        signatures: By name.
        default_signature: The one that a request means which names none.
    """

    signatures: Mapping[str, Signature]
    default_signature: str

    @abstractmethod
    def predict(self, signature: str, inputs: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        """Calls a function.

        Args:
            signature: Its name.
            inputs: Tensors `[batch, ...]` by name.
            options: As in `Generator.sample`.

        Returns:
            Tensors `[batch, ...]` by name.
        """
