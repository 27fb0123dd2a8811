"""Iterative models of a few lines, on NumPy, and what they have been asked."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from genservice import Determinism, IterativeGenerator, Options, TensorSpec, TextGenerator


class WalkOptions(Options):
    steps: int = Field(3, ge=1, le=50, description="Steps of the walk.")
    scale: float = Field(1.0, ge=0, le=10, description="Length of a step.")
    poison: bool = Field(False, description="Whether the first step raises.")


class Walk(IterativeGenerator):
    """Random walks: a row's place depends on all of its steps, so one that is lost or made twice shows."""

    family = "walk"
    traced = False
    Options = WalkOptions
    event = TensorSpec((2,))
    determinism = Determinism.BITWISE
    asked: ClassVar[list] = []
    """What every step was called with: the number of slots, and the steps of their rows."""

    def load(self, directory):
        pass

    def allocate(self, slots):
        names = {"place": ((slots, 2), np.float32), "left": (slots, np.int64), "scale": (slots, np.float32)}
        return {name: np.zeros(shape, dtype) for name, (shape, dtype) in names.items()} | {
            "poison": np.zeros(slots, bool)
        }

    def enter(self, state, slots, noise, options, conditions):
        state["place"][slots] = noise.normal("start", (2,))
        state["left"][slots] = options.steps
        state["scale"][slots] = options.scale
        state["poison"][slots] = options.poison

    def step(self, state, noise, active):
        type(self).asked.append((active, noise._step_words.tolist()))
        if state["poison"][:active].any():
            # Slots keep what was in them, and a row that is gone may do no harm.
            state["poison"][:] = False
            raise ValueError("poison")
        state["place"][:active] += state["scale"][:active, None] * noise.normal("step", (2,))
        state["left"][:active] -= 1
        return state["left"][:active] <= 0

    def finish(self, state, slots):
        return state["place"][slots]


class LettersOptions(Options):
    max_length: int = Field(8, ge=1, le=64, description="Most letters.")
    stop: tuple[str, ...] = Field((), description="Strings that end a text.")


class Letters(TextGenerator):
    """Letters at random, after a prompt that only counts as steps."""

    family = "letters"
    traced = False
    Options = LettersOptions
    determinism = Determinism.BITWISE
    tokens = TensorSpec((6,), "int32")
    conditions: ClassVar = {"prompt": TensorSpec((), "string", default="")}

    def load(self, directory):
        pass

    def tokenize(self, text):
        if len(text) > 6:
            raise ValueError(f"at most 6 letters; got {len(text)}.")
        return np.array([ord(letter) - ord("a") for letter in text] + [-1] * (6 - len(text)), np.int32)

    def detokenize(self, tokens):
        return "".join(chr(ord("a") + token) for token in tokens)

    def allocate(self, slots):
        return {"left": np.zeros(slots, np.int64), "prompt": np.zeros(slots, np.int64)}

    def enter(self, state, slots, noise, options, conditions):
        state["left"][slots] = options.max_length
        state["prompt"][slots] = (conditions["prompt"] >= 0).sum(axis=1)

    def step(self, state, noise, active):
        inside = state["prompt"][:active] > 0
        letters = np.floor(noise.uniform("letter") * 26).astype(np.int32)
        state["prompt"][:active] -= inside
        state["left"][:active] -= ~inside
        return state["left"][:active] <= 0, np.where(inside, -1, letters)
