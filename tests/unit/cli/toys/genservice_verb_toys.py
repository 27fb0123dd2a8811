"""A plugin for tests of the commands: models that compare, find neighbours, score, tag and predict, in NumPy."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from genservice import (
    Comparer,
    LabellingScorer,
    Predictor,
    Retriever,
    Scorer,
    Sequences,
    Signature,
    Tagger,
    TensorSpec,
    hookimpl,
)

REFERENCE = np.linspace(-1, 1, 11, dtype=np.float32)


class Faces(Comparer, Retriever, Scorer):
    """Knows a picture by its mean."""

    family = "toy-faces"
    traced = False
    event = TensorSpec((4, 3, 1), minimum=-1, maximum=1)
    threshold = 0.25
    reference_rows = len(REFERENCE)

    def load(self, directory: Path) -> None:
        pass

    def embed(self, inputs: Any, options: Any) -> Any:
        return inputs.mean(axis=(1, 2)).astype(np.float32)

    def neighbours(self, inputs: Any, k: Any, options: Any) -> tuple[Any, Any]:
        distances = np.abs(inputs.mean(axis=(1, 2, 3))[:, None] - REFERENCE)
        places = np.argsort(distances, axis=1, kind="stable")[:, : int(k)]
        return places, np.take_along_axis(distances, places, axis=1)

    def log_prob(self, inputs: Any, options: Any) -> Any:
        return -(inputs**2).sum(axis=(1, 2, 3))


class Tags(LabellingScorer):
    """Takes a word for long by its length."""

    family = "toy-tags"
    traced = False
    event = TensorSpec((), "string")
    tokens = TensorSpec((1,), "int32", -1, 20)
    labels = ("short", "long")
    positions = 5

    def load(self, directory: Path) -> None:
        pass

    def tokenize(self, text: str) -> Any:
        return np.array([min(len(text), 20)], np.int32)

    def tag(self, sequences: Sequences, options: Any) -> tuple[Any, Any]:
        long = (np.asarray(sequences.values)[..., 0].clip(0) / 20).astype(np.float32)
        return (long > 0.25).astype(np.int32), np.stack([1 - long, long], axis=-1)

    def labelling_log_prob(self, sequences: Sequences, labels: Any, options: Any) -> Any:
        return np.zeros(len(labels), np.float32)


class Letters(Tagger):
    """Takes two numbers for dark or light."""

    family = "toy-letters"
    traced = False
    event = TensorSpec((2,))
    labels = ("dark", "light")
    positions = 5

    def load(self, directory: Path) -> None:
        pass

    def tag(self, sequences: Sequences, options: Any) -> tuple[Any, Any]:
        light = (np.asarray(sequences.values).mean(axis=-1) > 0).astype(np.int32)
        return light, np.eye(2, dtype=np.float32)[light]


class Sums(Predictor):
    """Adds."""

    family = "toy-sums"
    traced = False
    default_signature = "add"
    signatures = MappingProxyType(
        {
            "add": Signature({"a": TensorSpec((8,)), "b": TensorSpec(())}, {"sum": TensorSpec((8,))}),
            "negate": Signature({"a": TensorSpec((8,))}, {"negative": TensorSpec((8,))}),
        }
    )

    def load(self, directory: Path) -> None:
        pass

    def predict(self, signature: str, inputs: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        if signature == "negate":
            return {"negative": -inputs["a"]}
        return {"sum": (inputs["a"] + inputs["b"][:, None]).astype(np.float32)}


@hookimpl
def genservice_register_families() -> list[type]:
    return [Faces, Tags, Letters, Sums]
