"""Families of a few lines that a worker process can import; NumPy only."""

import os
import sys
import time
from typing import Annotated, ClassVar, Literal

import numpy as np

from genservice import Classifier, Generator, IterativeGenerator, Options, Static, TensorSpec, TextGenerator
from genservice.errors import InvalidRequest
from genservice.model.base import Embedder, LabellingScorer, Latent


class PlainOptions(Options):
    shift: float = 0.0
    count: int = 0
    flag: bool = False
    name: str = "a"
    mode: Annotated[Literal["plain", "negative"], Static()] = "plain"


class Plain(Generator, Classifier):
    """Normal numbers around a shift and the length of a name, and the first elements of a row as logits."""

    family = "plain"
    traced = False
    Options = PlainOptions
    event = TensorSpec((3,))
    labels = ("circle", "square")
    conditions: ClassVar = {"mean": TensorSpec((1,)), "word": TensorSpec((), "string")}

    def load(self, directory):
        print(f"loading from {directory.name}", file=sys.stderr)
        self.scale = self.config.get("scale", 1.0)

    def sample(self, noise, options, conditions):
        names = np.array([len(name) for name in options.name])
        words = np.array([len(word) for word in conditions["word"]])
        columns = options.shift + options.count + options.flag + names + words
        samples = noise.normal("z", (3,)) * self.scale + columns[:, None] + conditions["mean"]
        return (-samples if options.mode == "negative" else samples).astype(np.float32)

    def logits(self, inputs, options):
        return inputs[:, :2] + options.shift[:, None]


class Image(Generator):
    """Images that can be asked for as files."""

    family = "image"
    traced = False
    event = TensorSpec((8, 8, 1), minimum=-1, maximum=1)
    media_types = ("image/png",)

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        samples = np.tanh(noise.normal("z", (8, 8, 1)))
        return np.zeros_like(samples) if self.config.get("constant") else samples


class Echo(Latent, Embedder):
    """Gives back what it gets, in any type and shape."""

    family = "echo"
    traced = False
    event = TensorSpec((-1,), "float64")
    latent = TensorSpec((-1,), "float64")

    def load(self, directory):
        pass

    def encode(self, inputs, options):
        return inputs.astype(object) if self.config.get("objects") else inputs

    def decode(self, latents, options):
        return latents

    def embed(self, inputs, options):
        return np.asfortranarray(np.concatenate([inputs, inputs], axis=1))


class Redrawn(Generator):
    """Pictures around one that the request gives."""

    family = "redrawn"
    traced = False
    event = TensorSpec((4, 3, 1))
    conditions: ClassVar = {"picture": TensorSpec((4, 3, 1), minimum=-1, maximum=1)}

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return conditions["picture"] + noise.normal("z", (4, 3, 1))


class Words(LabellingScorer):
    """Says of each number whether it is great."""

    family = "words"
    traced = False
    event = TensorSpec((1,), minimum=0, maximum=1)
    labels = ("small", "great")
    positions = 5

    def load(self, directory):
        pass

    def tag(self, sequences, options):
        great = np.asarray(sequences.values)[..., 0]
        return (great > 0.5).astype(np.int32), np.stack([1 - great, great], axis=-1)

    def labelling_log_prob(self, sequences, labels, options):
        great = np.asarray(sequences.values)[..., 0]
        inside = np.arange(self.positions) < np.asarray(sequences.lengths)[:, None]
        return np.log(np.where(inside, np.where(labels == 1, great, 1 - great), 1) + 1e-3).sum(axis=1)


class TroubleOptions(Options):
    what: str = ""


class Trouble(Classifier):
    """Does what a model should not."""

    family = "trouble"
    traced = False
    Options = TroubleOptions
    event = TensorSpec((1,))
    labels = ("a",)

    def load(self, directory):
        if self.config.get("load") == "raise":
            raise ValueError("the weights are torn")

    def logits(self, inputs, options):
        print(f"asked to {options.what[0]}", file=sys.stderr)
        match options.what[0]:
            case "raise":
                raise ValueError("secret of the plugin")
            case "refuse":
                raise InvalidRequest("no such word", field="inputs", metadata={"word": "x"})
            case "exit":
                sys.exit(3)
            case "die":
                print("the last words", file=sys.stderr)
                os._exit(7)
            case "abort":
                os.abort()
            case "loop":
                while True:
                    pass
            case "sleep":
                time.sleep(3600)
            case "shout":
                print("to stdout")
                os.write(2, b"to stderr, without an end" + b"x" * 100_000)
                os.write(2, b"\nan end\n")
        return inputs


class CountOptions(Options):
    steps: int = 3
    fail_at: int = -1_000_000
    step_s: float = 0.0


class Count(IterativeGenerator):
    """Sums noise over as many steps as a row wants."""

    family = "count"
    traced = False
    Options = CountOptions
    event = TensorSpec((2,))
    conditions: ClassVar = {"start": TensorSpec((2,))}

    def load(self, directory):
        pass

    def allocate(self, slots):
        return {
            "sum": np.zeros((slots, 2), np.float32),
            "left": np.zeros(slots, np.int64),
            "fail": np.zeros(slots, np.int64),
            "sleep": np.zeros(slots, np.float32),
        }

    def enter(self, state, slots, noise, options, conditions):
        state["sum"][slots] = conditions["start"]
        state["left"][slots] = options.steps
        state["fail"][slots] = options.fail_at
        state["sleep"][slots] = options.step_s

    def step(self, state, noise, active):
        state["sum"][:active] += noise.normal("step", (2,))
        state["left"][:active] -= 1
        time.sleep(float(state["sleep"][:active].max()))
        if np.any(state["left"][:active] == state["fail"][:active]):
            raise ArithmeticError("the sum is too large")
        return state["left"][:active] <= 0

    def finish(self, state, slots):
        return state["sum"][slots].astype(object if self.config.get("objects") else np.float32)


class Wide(Count):
    """Samples of more than a frame."""

    family = "wide"
    event = TensorSpec((2, 200_000))

    def finish(self, state, slots):
        return np.repeat(state["sum"][slots][:, :, None], 200_000, axis=2)


class Letters(TextGenerator):
    """As many random letters as a row wants."""

    family = "letters"
    traced = False
    Options = CountOptions

    def load(self, directory):
        pass

    def allocate(self, slots):
        return {"left": np.zeros(slots, np.int64)}

    def enter(self, state, slots, noise, options, conditions):
        state["left"][slots] = options.steps

    def step(self, state, noise, active):
        state["left"][:active] -= 1
        tokens = np.clip(np.abs(noise.normal("token", (1,))[:, 0]) * 8, 0, 25).astype(np.int32)
        return state["left"][:active] <= 0, tokens

    def detokenize(self, tokens):
        return "".join(chr((97 if token % 2 else 945) + token) for token in tokens)


class Rows(Classifier):
    """A small dense layer: what the overhead of a worker process is measured with."""

    family = "rows"
    traced = False
    event = TensorSpec((28, 28, 1))
    labels = tuple("0123456789")

    def load(self, directory):
        self.weights = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)

    def logits(self, inputs, options):
        return inputs.reshape(len(inputs), -1) @ self.weights
