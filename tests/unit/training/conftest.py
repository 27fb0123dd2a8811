"""Data small enough for a test, and models of it in NumPy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genservice.model.base import Classifier, Embedder, Generator
from genservice.model.fit import DataSet, FitRun
from genservice.model.options import ANY_LABEL, Label, Options
from genservice.model.specs import TensorSpec
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore

LABELS = ("hat", "glove", "scarf")
EVENT = TensorSpec((4,), minimum=-8, maximum=8)


class Clothes(Generator):
    """Rows around a centre for each label; the scale of the noise is the version's config."""

    family = "clothes"
    traced = False
    event = EVENT
    labels = LABELS

    class Options(Options):
        label: Label = ANY_LABEL

    def load(self, directory: Path) -> None:
        self.centres = np.load(directory / "centres.npy")

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        labels = np.asarray(options.label) % len(LABELS)
        rows = self.centres[labels] + np.float32(self.config["scale"]) * noise.normal("z", (4,))
        return rows.clip(-8, 8).astype(np.float32)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        done = run.checkpoints / "centres.npy"
        if not done.exists():
            means = [run.data.train_inputs[run.data.train_labels == label].mean(axis=0) for label in range(len(LABELS))]
            np.save(done, np.stack(means).astype(np.float32))
            run.progress(1, 2, {"loss": 1.0})
            if run.settings.get("cut"):
                raise KeyboardInterrupt
        np.save(run.directory / "centres.npy", np.load(done))
        run.progress(2, 2, {"loss": 0.5})
        return {"scale": float(run.settings.get("scale", 1.0))}


class Judge(Classifier, Embedder):
    """The label of the nearest centre; knows the labels in another order than the generator."""

    family = "judge"
    traced = False
    event = EVENT
    labels = LABELS[::-1]

    def load(self, directory: Path) -> None:
        self.centres = np.load(directory / "centres.npy")[::-1]

    def logits(self, inputs: Any, options: Any) -> Any:
        return -((inputs[:, None, :] - self.centres[None]) ** 2).sum(axis=2)

    def embed(self, inputs: Any, options: Any) -> Any:
        return (inputs / 4).astype(np.float32)


CENTRES = np.array([[3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]], np.float32)


@pytest.fixture
def data() -> DataSet:
    generator = np.random.default_rng(7)

    def rows(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % len(LABELS)
        inputs = CENTRES[labels] + generator.standard_normal((count, 4))
        return inputs.clip(-8, 8).astype(np.float32), labels.astype(np.int64)

    train_inputs, train_labels = rows(1800)
    test_inputs, test_labels = rows(600)
    return DataSet("clothes", train_inputs, train_labels, test_inputs, test_labels, LABELS, "CC0-1.0", "nobody")


@pytest.fixture
def families() -> dict[str, Family]:
    return {model.family: Family(model.family, model, "genservice-toys", "1.0") for model in (Clothes, Judge)}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Has a good generator, one that collapsed, and the judge."""
    store = ModelStore([tmp_path / "store"])
    for model, family, config in (
        ("good", "clothes", {"scale": 1.0}),
        ("collapsed", "clothes", {"scale": 0.05}),
        ("judge", "judge", {}),
    ):

        def build(directory: Path, family: str = family, config: Any = config) -> Manifest:
            np.save(directory / "centres.npy", CENTRES)
            return Manifest(family=family, plugin="genservice-toys", plugin_version="1.0", config=config)

        store.publish(model, build)
    return store
