"""The conformance suite, run on generators that pass and on generators that should not."""

import sys
from pathlib import Path

import pytest

from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore

pytest_plugins = ["pytester"]

SUITE = """
from pathlib import Path
from genservice.testing import ModelConformance
from rings import *

class TestModel(ModelConformance):
    family = {family}
    store = Path(__file__).parent / "store"
    model = "rings"

    def real_data(self):
        return rings(512, seed=1)
"""

RINGS = """
from typing import Annotated, Any
import numpy as np
from pydantic import Field, WithJsonSchema
from genservice import ANY_LABEL, Generator, Label, Options, TensorSpec

GRID = np.linspace(-1, 1, 12)

def rings(count, seed):
    return draw(*np.random.default_rng(seed).uniform(-0.5, 0.5, (3, count)))

def draw(x, y, size):
    distance = np.hypot(GRID[None, None, :] - x[:, None, None], GRID[None, :, None] - y[:, None, None])
    return np.tanh(8 * (0.6 + 0.5 * size[:, None, None] - distance))[..., None].astype(np.float32)

class Rings(Generator):
    family = "rings"
    traced = False
    event = TensorSpec((12, 12, 1), minimum=-1, maximum=1)
    media_types = ("image/png",)

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return draw(*(noise.uniform("place", (3,)).T - 0.5))

class BoundedOptions(Options):
    label: Label = Field(ANY_LABEL, description="What to draw.")
    closed: float = Field(1.0, ge=0.5, le=2, description="A scale.")
    open: float = Field(1.0, gt=0, lt=10, description="A scale.")
    steps: int = Field(1, gt=0, lt=9, description="A count.")

class Bounded(Rings):
    labels = ("small", "large")
    Options = BoundedOptions

class LooselyAbove(Rings):
    class Options(Options):
        scale: Annotated[float, WithJsonSchema({"type": "number", "exclusiveMinimum": 0})] = Field(1.0, description="x")

class LooselyBelow(Rings):
    class Options(Options):
        scale: Annotated[float, WithJsonSchema({"type": "number", "exclusiveMaximum": 9})] = Field(1.0, description="x")

LABEL = WithJsonSchema({"anyOf": [{"type": "integer", "minimum": ANY_LABEL}, {"type": "string"}]})

class AnyNumber(Rings):
    labels = ("small", "large")
    class Options(Options):
        label: Annotated[int, LABEL] = Field(ANY_LABEL, description="What to draw.")

class Constant(Rings):
    def sample(self, noise, options, conditions):
        return np.repeat(rings(512, seed=2).mean(axis=0)[None], len(noise.uniform("place")), axis=0)

class MeanPlusNoise(Rings):
    def sample(self, noise, options, conditions):
        data = rings(512, seed=2)
        return np.clip(data.mean(axis=0) + data.std() * noise.normal("pixels", (12, 12, 1)), -1, 1)

class Collapsed(Rings):
    def sample(self, noise, options, conditions):
        return draw(*(0.02 * (noise.uniform("place", (3,)).T - 0.5)))
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs the suite on a family, and gives the outcomes."""
    pytester.makepyfile(rings=RINGS)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    ModelStore([Path(pytester.path) / "store"]).publish(
        "rings",
        lambda _: Manifest(family="rings", plugin="rings", plugin_version="1", serving=Serving(max_batch_rows=16)),
    )

    def run(family):
        pytester.makepyfile(test_rings=SUITE.format(family=family))
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "test_rings.py")

    assert sys.executable
    return run


def test_a_good_generator_passes(suite):
    outcomes = suite("Rings").parseoutcomes()
    assert "failed" not in outcomes
    assert "errors" not in outcomes
    assert outcomes["passed"] >= 9


def test_a_family_whose_options_keep_their_bounds_passes(suite):
    outcomes = suite("Bounded").parseoutcomes()
    assert "failed" not in outcomes
    assert "errors" not in outcomes


@pytest.mark.parametrize("family", ["LooselyAbove", "LooselyBelow", "AnyNumber"])
def test_a_family_whose_options_take_what_they_exclude_fails(suite, family):
    result = suite(family)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["FAILED*test_an_option_beyond_its_bounds_is_refused*"])


def test_a_constant_is_not_even_ready(suite):
    result = suite("Constant")
    assert result.parseoutcomes().get("passed", 0) <= 1
    result.stdout.fnmatch_lines(["*a distribution, not a constant*"])


@pytest.mark.parametrize("family", ["MeanPlusNoise", "Collapsed"])
def test_samples_that_do_not_differ_as_the_data_does_fail(suite, family):
    result = suite(family)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["FAILED*test_samples_of_one_condition_differ_as_real_data_does*"])
