"""The networks that ship: they keep what every model keeps, and are as good as their cards say."""

from pathlib import Path

import numpy as np
import pytest

import genservice_classifiers
from genservice.errors import DataError
from genservice.testing import Harness, ModelConformance
from genservice.training import cifar10, fashion_mnist, mnist
from genservice.training.cache import cache_folder
from genservice_classifiers.families import ConvolutionalNetwork, MultilayerPerceptron

MODELS = Path(genservice_classifiers.__file__).parent / "models"
SOME = 500
HELD_OUT = {
    "cifar10": lambda: cifar10.read_part(cache_folder() / cifar10.NAME, "test"),
    "cats-and-dogs": lambda: cifar10.read_part(cache_folder() / cifar10.NAME, "test", kept=("cat", "dog")),
    "fashion-mnist": lambda: _test_part(fashion_mnist),
    "mnist": lambda: _test_part(mnist),
}


def _test_part(source):
    data = source.load(cache_folder(), fetchers=())
    return data.test_inputs, data.test_labels


@pytest.fixture(scope="module")
def harness():
    with Harness([ConvolutionalNetwork, MultilayerPerceptron], MODELS) as harness:
        yield harness


@pytest.fixture(scope="module")
def held_out():
    """Reads the rows held out of a data set, once."""
    known = {}

    def read(source):
        if source not in known:
            try:
                known[source] = HELD_OUT[source]()
            except DataError as missing:
                pytest.skip(missing.message)
        return known[source]

    return read


class TestFashionCnn(ModelConformance):
    family = ConvolutionalNetwork
    store = MODELS
    model = "fashion-cnn"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, harness):
        return harness


class TestCatsAndDogs(TestFashionCnn):
    model = "cats-and-dogs"


class TestMnistMlp(TestFashionCnn):
    family = MultilayerPerceptron
    model = "mnist-mlp"


def accuracy(harness, model, inputs, labels):
    """Part of the rows that the model gives their label."""
    parts = [harness.call(model, "classify", rows) for rows in np.array_split(inputs, -(-len(inputs) // 1000))]
    return (np.concatenate(parts).argmax(axis=1) == labels).mean()


@pytest.mark.parametrize(
    ("model", "source", "least"),
    [
        ("cats-and-dogs", "cats-and-dogs", 0.77),
        ("cifar10-cnn", "cifar10", 0.74),
        ("fashion-cnn", "fashion-mnist", 0.9),
        ("mnist-cnn", "mnist", 0.98),
        ("mnist-mlp", "mnist", 0.97),
    ],
)
def test_most_of_some_rows_held_out_get_their_label(harness, held_out, model, source, least):
    inputs, labels = held_out(source)
    assert accuracy(harness, model, inputs[:SOME], labels[:SOME]) >= least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "source", "least"),
    [
        ("cats-and-dogs", "cats-and-dogs", 0.80),
        ("cifar10-cnn", "cifar10", 0.78),
        ("fashion-cnn", "fashion-mnist", 0.925),
        ("mnist-cnn", "mnist", 0.99),
        ("mnist-mlp", "mnist", 0.98),
    ],
)
def test_accuracy_on_all_rows_held_out(harness, held_out, model, source, least):
    assert accuracy(harness, model, *held_out(source)) >= least


def test_images_of_one_label_embed_closer_than_those_of_two(harness, held_out):
    inputs, labels = held_out("mnist")
    embeddings = harness.call("mnist-mlp", "embed", inputs[:SOME])
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    same = labels[:SOME, None] == labels[None, :SOME]
    assert distances[same & ~np.eye(SOME, dtype=bool)].mean() < 0.8 * distances[~same].mean()
