"""The family `transformer`: text, a character at a time, and its exact probability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genservice import (
    Determinism,
    FitRun,
    Noise,
    Options,
    ScoreKind,
    Scorer,
    TensorSpec,
    TextGenerator,
    load_weights,
    save_weights,
)
from genservice.errors import InvalidRequest
from genservice_autoregressive.vocabulary import PADDING, Vocabulary

WEIGHTS = "weights.safetensors"
NETWORK = ("context", "layers", "width", "heads", "hidden")
MOST_CHARACTERS = 511


class TransformerOptions(Options):
    """Options of a draw; they do not change a score."""

    temperature: float = Field(
        0.8, ge=0, le=2, description="Below 1 likely characters become likelier; 0: always the likeliest."
    )
    top_k: int = Field(0, ge=0, le=2**31 - 1, description="Only so many of the likeliest characters; 0: all.")
    top_p: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Only the fewest likeliest characters that have this probability together; 1: all.",
    )
    max_length: int = Field(
        200, ge=1, le=MOST_CHARACTERS, description="Most characters to draw; with the prompt's they are 511 at most."
    )
    stop: tuple[str, ...] = Field((), description="The text ends before the first of these strings.")


class Transformer(TextGenerator, Scorer):
    """A Transformer decoder of characters (Vaswani et al. 2017, arXiv:1706.03762): p(x) = Π p(x_t | x_<t).

    Args:
        config: `characters`, all that the model knows, in the order of their numbers, and the fields of `NETWORK`, as
            in `training.Recipe`.

    Attributes:
        excerpt_characters: The most characters of a text, prompt included.
    """

    family = "transformer"
    Options = TransformerOptions
    conditions: Mapping[str, TensorSpec] = {
        "prompt": TensorSpec((), "string", default="", description="What the text goes on from; it is not repeated.")
    }
    determinism = Determinism.BITWISE
    score_kind = ScoreKind.EXACT

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._vocabulary = Vocabulary(config["characters"])
        self.excerpt_characters = config["context"] - 1
        self.tokens = TensorSpec((self.excerpt_characters,), "int32")

    def load(self, directory: Path) -> None:
        """Builds the decoder, in float32, and reads its weights."""
        from genservice_autoregressive.network import Decoder

        shape = {name: self.config[name] for name in NETWORK}
        self._decoder = Decoder(characters=len(self._vocabulary), **shape)
        load_weights(self._decoder, directory / WEIGHTS)

    def tokenize(self, text: str) -> NDArray[np.int32]:
        """Numbers the characters of a text.

        Returns:
            int32 `[511]`, padded with -1.

        Raises:
            ValueError: The text is too long, or has a character that the model does not know.
        """
        if len(text) > self.excerpt_characters:
            raise ValueError(f"The text has {len(text)} characters; {self.excerpt_characters} is the most.")
        tokens = np.full(self.excerpt_characters, PADDING, np.int32)
        tokens[: len(text)] = self._vocabulary.encode(text)
        return tokens

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The characters of numbers."""
        return self._vocabulary.decode(tokens)

    def validate(self, verb: str, options: Any, inputs: Mapping[str, Any]) -> None:
        """Checks that a prompt and what is to follow it have room.

        Raises:
            InvalidRequest: They have not.
        """
        if verb != "sample":
            return
        longest = max(map(len, inputs.get("prompt", ())), default=0)
        if longest + options.max_length > self.excerpt_characters:
            raise InvalidRequest(
                f"A prompt of {longest} characters leaves room for {max(self.excerpt_characters - longest, 0)} of "
                f"{self.excerpt_characters}; `max_length` is {options.max_length}.",
                field="options.max_length",
            )

    def allocate(self, slots: int) -> Mapping[str, Any]:
        """Makes the caches and what a row is written from; see `slots.allocate`."""
        from genservice_autoregressive.slots import allocate

        return allocate(self._decoder, slots)

    def enter(
        self, state: Mapping[str, Any], slots: Any, noise: Noise, options: Any, conditions: Mapping[str, Any]
    ) -> None:
        """Writes prompts and options into slots; the steps read them."""
        from genservice_autoregressive.slots import enter

        enter(state, slots, options, conditions["prompt"])

    def step(self, state: Mapping[str, Any], noise: Noise, active: int) -> tuple[Any, Any]:
        """Reads one more character of the prompt, or draws one of p(x_t | x_<t)."""
        from genservice_autoregressive.slots import step

        return step(self._decoder, state, noise, active)

    def log_prob(self, inputs: Any, options: Any) -> Any:
        """Gives log p(x), the sum of log p(x_t | x_<t), whatever the options; 0 for the empty text.

        Args:
            inputs: int32 `[batch, 511]`, padded with -1.
            options: Of no effect.

        Returns:
            float32 `[batch]`, in nats.
        """
        from genservice_autoregressive.scoring import log_prob

        return log_prob(self._decoder, inputs)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the decoder; the settings are the fields of `Recipe`."""
        from genservice_autoregressive.training import Recipe, train

        recipe = run.recipe(Recipe)
        vocabulary = Vocabulary.of(run.data.train_inputs)
        decoder = train(
            [vocabulary.encode(text) for text in run.data.train_inputs],
            len(vocabulary),
            seed=run.seed,
            recipe=recipe,
            checkpoint_dir=run.checkpoints,
            progress=run.progress,
        )
        save_weights(decoder, run.directory / WEIGHTS)
        return {"characters": vocabulary.characters, **{name: getattr(recipe, name) for name in NETWORK}}
