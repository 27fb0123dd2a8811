"""A small model of each kind in NumPy, with weights that can be spoilt."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from genservice.model.base import (
    Classifier,
    Comparer,
    Embedder,
    Generator,
    LabellingScorer,
    Model,
    Predictor,
    Scorer,
    Signature,
    TextGenerator,
)
from genservice.model.fit import DataSet
from genservice.model.options import ANY_LABEL, Label, Options
from genservice.model.specs import TensorSpec
from genservice.plugin_host import Family
from genservice.store.manifest import Card, Manifest
from genservice.store.store import ModelStore

LABELS = ("hat", "glove", "scarf")
CENTRES = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]], np.float32)
ALPHABET = "abc "


class Weights(Model):
    """What all toys have in common: one array."""

    traced = False

    def load(self, directory: Path) -> None:
        self.weights = np.load(directory / "weights.npy")


def _log_normal(rows: Any, centres: Any) -> Any:
    """log p(x | y) of normal distributions around centres, `[rows, labels]`."""
    squares = ((np.asarray(rows)[:, None].astype(np.float64) - centres[None]) ** 2).sum(axis=2)
    return -squares / 2 - centres.shape[1] / 2 * np.log(2 * np.pi)


class Mixture(Weights, Generator, Classifier, Scorer):
    """p(x, y): normal distributions around a centre for each label."""

    family = "toy-mixture"
    event = TensorSpec((4,))
    labels = LABELS

    class Options(Options):
        label: Label = ANY_LABEL

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        labels = np.asarray(options.label)
        labels = np.where(labels == ANY_LABEL, (noise.uniform("y") * 3).astype(int), labels)
        return (self.weights[labels] + noise.normal("x", (4,))).astype(np.float32)

    def logits(self, inputs: Any, options: Any) -> Any:
        return _log_normal(inputs, self.weights)

    def log_prob(self, inputs: Any, options: Any) -> Any:
        return np.logaddexp.reduce(_log_normal(inputs, self.weights), axis=1) - np.log(3)


class Eye(Weights, Classifier, Embedder):
    """A judge that keeps its own weights: it had no part in the others' training."""

    family = "toy-eye"
    event = TensorSpec((4,))
    labels = LABELS[::-1]

    def logits(self, inputs: Any, options: Any) -> Any:
        return _log_normal(inputs, self.weights)[:, ::-1]

    def embed(self, inputs: Any, options: Any) -> Any:
        return (inputs[:, :3] / 2).astype(np.float32)


class Plain(Weights, Generator):
    """p(x), without labels."""

    family = "toy-plain"
    event = TensorSpec((4,))

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        labels = (noise.uniform("y") * 3).astype(int)
        return (self.weights[labels] + noise.normal("x", (4,))).astype(np.float32)


class Lookup(Weights, LabellingScorer):
    """p(label | position), each position by itself."""

    family = "toy-tagger"
    event = TensorSpec((4,))
    labels = LABELS
    positions = 6

    def _log_probs(self, values: Any) -> Any:
        joint = _log_normal(np.asarray(values).reshape(-1, 4), self.weights)
        conditional = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
        return conditional.reshape(*np.shape(values)[:2], 3)

    def tag(self, sequences: Any, options: Any) -> Any:
        log_probs = self._log_probs(sequences.values)
        return log_probs.argmax(axis=2).astype(np.int32), np.exp(log_probs).astype(np.float32)

    def labelling_log_prob(self, sequences: Any, labels: Any, options: Any) -> Any:
        values = np.take_along_axis(self._log_probs(sequences.values), np.asarray(labels)[..., None], axis=2)[..., 0]
        inside = np.arange(values.shape[1]) < np.asarray(sequences.lengths)[:, None]
        return (values * inside).sum(axis=1)


class Likeness(Weights, Comparer):
    """Embeds by a projection."""

    family = "toy-likeness"
    event = TensorSpec((4,))

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.threshold = 3.0

    def embed(self, inputs: Any, options: Any) -> Any:
        return (np.asarray(inputs) @ self.weights).astype(np.float32)


class Letters(Weights, TextGenerator, Scorer):
    """Letters, each as probable as its weight says, whatever is before it."""

    family = "toy-letters"
    tokens = TensorSpec((12,), "int32")

    class Options(Options):
        max_length: int = 12

    @property
    def _log_probs(self) -> Any:
        return self.weights - np.logaddexp.reduce(self.weights)

    def tokenize(self, text: str) -> Any:
        if len(text) > 12:
            raise ValueError("12 letters at most")
        return np.array([ALPHABET.index(letter) for letter in text] + [-1] * (12 - len(text)), np.int32)

    def detokenize(self, tokens: Any) -> str:
        return "".join(ALPHABET[token] for token in tokens)

    def allocate(self, slots: int) -> Any:
        return {"left": np.zeros(slots, np.int64)}

    def enter(self, state: Any, slots: Any, noise: Any, options: Any, conditions: Any) -> None:
        state["left"][slots] = options.max_length

    def step(self, state: Any, noise: Any, active: int) -> Any:
        drawn = np.searchsorted(np.exp(self._log_probs).cumsum(), noise.uniform("letter") * 0.999)
        state["left"][:active] -= 1
        return state["left"][:active] <= 0, drawn.astype(np.int32)

    def log_prob(self, inputs: Any, options: Any) -> Any:
        tokens = np.asarray(inputs)
        return np.where(tokens >= 0, self._log_probs[tokens], 0).sum(axis=1)


class Sums(Weights, Predictor):
    """Has no event: all it does is predict."""

    family = "toy-sums"
    default_signature = "sum"
    signatures = MappingProxyType({"sum": Signature({"x": TensorSpec((4,))}, {"sum": TensorSpec(())})})

    def predict(self, signature: str, inputs: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        return {"sum": np.asarray(inputs["x"]) @ self.weights}


KINDS = (Mixture, Eye, Plain, Lookup, Likeness, Letters, Sums)
WEIGHTS: Mapping[str, Any] = {
    "mixture": (Mixture, CENTRES),
    "eye": (Eye, CENTRES),
    "plain": (Plain, CENTRES),
    "tagger": (Lookup, CENTRES),
    "likeness": (Likeness, np.eye(4)),
    "letters": (Letters, np.log([0.5, 0.2, 0.1, 0.2])),
    "sums": (Sums, np.ones(4, np.float32)),
}


@pytest.fixture(scope="session")
def kinds() -> dict[str, Family]:
    return {model.family: Family(model.family, model, "genservice-toys", "1.0") for model in KINDS}


@pytest.fixture
def zoo(tmp_path: Path) -> Callable[..., ModelStore]:
    """Makes a store of all toys; those that are named get noise on their weights."""

    def make(*spoilt: str, scale: float = 1.0) -> ModelStore:
        store = ModelStore([tmp_path / ("-".join(spoilt) or "sound")])
        for name, (model, weights) in WEIGHTS.items():
            noise = np.random.default_rng(5).standard_normal(weights.shape)
            given = weights + scale * noise if name in spoilt else weights

            def build(directory: Path, family: str = model.family, given: Any = given) -> Manifest:
                np.save(directory / "weights.npy", given)
                card = Card(summary="A toy.", measured_by="by hand", metrics={"old": 1})
                return Manifest(family=family, plugin="genservice-toys", plugin_version="1.0", card=card)

            store.publish(name, build)
        return store

    return make


@pytest.fixture(scope="session")
def rows() -> DataSet:
    """What the mixture draws."""
    random = np.random.default_rng(7)

    def part(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % 3
        return (CENTRES[labels] + random.standard_normal((count, 4))).astype(np.float32), labels.astype(np.int64)

    return DataSet("toy-rows", *part(1800), *part(600), LABELS, "CC0-1.0", "nobody")


@pytest.fixture(scope="session")
def sequences(rows: DataSet) -> DataSet:
    """The rows in sequences of 1 to 6."""

    def part(inputs: Any, labels: Any) -> tuple[Any, Any]:
        ends = np.cumsum(np.arange(len(inputs) // 4) % 6 + 1)
        starts = ends[ends <= len(inputs)]
        values, names = np.empty(len(starts) - 1, object), np.empty(len(starts) - 1, object)
        for place, (start, end) in enumerate(pairwise(starts)):
            values[place], names[place] = inputs[start:end], labels[start:end]
        return values, names

    train, test = part(rows.train_inputs, rows.train_labels), part(rows.test_inputs, rows.test_labels)
    return DataSet("toy-sequences", *train, *test, LABELS, "CC0-1.0", "nobody")


@pytest.fixture(scope="session")
def texts() -> DataSet:
    """What the letters are drawn from."""
    random = np.random.default_rng(8)

    def part(count: int) -> Any:
        made = np.empty(1, object)
        made[0] = "".join(random.choice(list(ALPHABET), count, p=[0.5, 0.2, 0.1, 0.2]))
        return made

    none = np.zeros(0, np.int64)
    return DataSet("toy-texts", part(5000), none, part(1000), none, (), "CC0-1.0", "nobody")
