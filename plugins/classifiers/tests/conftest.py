"""Models that scikit-learn trains in a moment, on the digits that come with it."""

from pathlib import Path

import pytest

from genservice.plugin_host import Family
from genservice.store.store import ModelStore
from genservice.testing import Harness
from genservice.training.tabular import SOURCES
from genservice.training.train import Recipe, train


@pytest.fixture(scope="session")
def digits():
    """1,258 pictures of 8 by 8 to train on, and 539 held out."""
    return SOURCES["digits"](Path())


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Trains a family on data, and gives the store that has the version under the data's name."""

    def train_on(family, data, **settings):
        folder = tmp_path_factory.mktemp(family.family)
        recipe = Recipe(model=data.name, settings=settings)
        train(Family(family.family, family, "tests", "0"), data, ModelStore([folder]), recipe, cache=folder / "cache")
        return folder

    return train_on


@pytest.fixture(scope="module")
def served(trained):
    """Trains a family on data, and gives a function that asks the model on an engine."""
    harnesses = []

    def serve(family, data, **settings):
        harness = Harness([family], trained(family, data, **settings))
        harnesses.append(harness.__enter__())
        return lambda rows, options=None: harness.call(data.name, "classify", rows, options)

    yield serve
    for harness in harnesses:
        harness.__exit__(None, None, None)
