"""A plugin for tests: small pictures with as many bright lines as the number of their label, in NumPy."""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from genservice import ANY_LABEL, Classifier, DataSet, Embedder, FitRun, Generator, Label, Options, TensorSpec, hookimpl

LABELS = ("hat", "glove", "scarf")
EVENT = TensorSpec((8, 6, 1), minimum=-1, maximum=1)


def patterns() -> Any:
    lines = np.arange(8)[:, None, None] < np.arange(1, len(LABELS) + 1)[:, None, None, None]
    return np.where(lines, 0.6, -0.6) * np.ones((1, 1, 6, 1))


class GarmentOptions(Options):
    label: Label = Field(default=ANY_LABEL, description="What to draw.")
    noise: float = Field(default=0.1, ge=0, le=0.4, description="How much chance there is in a sample.")


class Garments(Generator):
    family = "toy-garments"
    traced = False
    Options = GarmentOptions
    event = EVENT
    labels = LABELS
    media_types = ("image/png",)

    def load(self, directory: Path) -> None:
        self.patterns = np.load(directory / "patterns.npy")

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        labels = np.asarray(options.label)
        labels = np.where(labels == ANY_LABEL, noise.uniform("label") * len(LABELS), labels).astype(int)
        spread = np.asarray(options.noise)[:, None, None, None] * noise.normal("z", EVENT.shape)
        return (self.patterns[labels] + spread).clip(-1, 1).astype(np.float32)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        steps = int(run.settings.get("steps", 2))
        for step in range(steps):
            run.progress(step + 1, steps, {"loss": 1 / (step + 1)})
        means = [run.data.train_inputs[run.data.train_labels == label].mean(axis=0) for label in range(len(LABELS))]
        np.save(run.directory / "patterns.npy", np.stack(means))
        return {"steps": steps}


class Hanging(Garments):
    """Does not answer once there is the file that TOY_HANG names."""

    family = "toy-hanging"

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        if Path(os.environ.get("TOY_HANG", "")).is_file():
            print("a call hangs", file=sys.stderr, flush=True)
            threading.Event().wait()
        return super().sample(noise, options, conditions)


class Judge(Classifier, Embedder):
    family = "toy-judge"
    traced = False
    event = EVENT
    labels = LABELS

    def load(self, directory: Path) -> None:
        self.patterns = np.load(directory / "patterns.npy")

    def logits(self, inputs: Any, options: Any) -> Any:
        return -((inputs[:, None] - self.patterns[None]) ** 2).sum(axis=(2, 3, 4))

    def embed(self, inputs: Any, options: Any) -> Any:
        return inputs.mean(axis=(2, 3)).astype(np.float32)


def toy_clothes(cache: Path) -> DataSet:
    """Two hundred rows of each label."""
    generator = np.random.default_rng(0)

    def part(rows: int) -> tuple[Any, Any]:
        labels = np.arange(rows) % len(LABELS)
        noise = 0.1 * generator.standard_normal((rows, *EVENT.shape))
        return (patterns()[labels] + noise).clip(-1, 1).astype(np.float32), labels.astype(np.int64)

    train, test = part(600), part(90)
    return DataSet("toy-clothes", *train, *test, LABELS, "CC0-1.0", "made by this test")


@hookimpl
def genservice_register_families() -> list[type]:
    return [Garments, *([Hanging] if "TOY_HANG" in os.environ else []), Judge]


@hookimpl
def genservice_register_data_sources() -> Mapping[str, Any]:
    return {"toy-clothes": toy_clothes}


@hookimpl
def genservice_register_stores() -> list[Path]:
    return [Path(folder) for folder in [os.environ.get("TOY_STORE")] if folder]
