"""Models of a few lines, and a store that has them."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import pytest

from genservice import Classifier, Generator, Label, Options, Static, TensorSpec
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore


class ToyOptions(Options):
    label: Label = -1
    shift: float = 0.0
    mode: Annotated[Literal["plain", "negative"], Static()] = "plain"


class Toy(Generator, Classifier):
    """Normal numbers around a shift; NumPy only."""

    family = "toy"
    traced = False
    Options = ToyOptions
    event = TensorSpec((3,))
    labels = ("circle", "square")

    def load(self, directory):
        self.loaded = True

    def sample(self, noise, options, conditions):
        samples = noise.normal("z", (3,)) + options.shift[:, None] + 10 * options.label[:, None].astype(np.float32)
        return (-samples if options.mode == "negative" else samples).astype(np.float32)

    def logits(self, inputs, options):
        return inputs[:, :2]


class Image(Generator):
    """Bounded images with a condition, on NumPy."""

    family = "image"
    traced = False
    event = TensorSpec((4, 4, 1), minimum=-1, maximum=1)
    conditions: ClassVar = {"mean": TensorSpec((1,), minimum=-1, maximum=1), "name": TensorSpec((), "string")}
    media_types = ("image/png",)

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return np.tanh(noise.normal("z", (4, 4, 1)) + conditions["mean"][:, :, None, None])


@pytest.fixture
def families():
    return {model.family: Family(model.family, model, "toys", "1.0") for model in (Toy, Image)}


@pytest.fixture
def store(tmp_path):
    store = ModelStore([tmp_path / "store"])
    for family in ("toy", "image"):
        publish(store, family, family)
    return store


def publish(store, name, family, *, plugin_version="1.0", files=None, **serving):
    def build(directory):
        for path, content in (files or {}).items():
            (directory / path).write_bytes(content)
        return Manifest(
            family=family,
            plugin="toys",
            plugin_version=plugin_version,
            serving=Serving(**{"max_batch_rows": 16, **serving}),
        )

    return store.publish(name, build)


@pytest.fixture(name="publish")
def publish_fixture():
    return publish
