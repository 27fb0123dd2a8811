"""The models that ship: they name what they never saw as rightly as their cards say, and find its neighbours."""

from pathlib import Path

import numpy as np
import pytest

import genservice_classifiers
from genservice.errors import DataError
from genservice.testing import Harness, ModelConformance
from genservice.training import fashion_mnist, mnist
from genservice.training.cache import cache_folder
from genservice.training.tabular import SOURCES
from genservice_classifiers.logistic import LogisticRegression
from genservice_classifiers.nearest_neighbours import NearestNeighbours
from genservice_classifiers.svm import SupportVectorMachine
from genservice_classifiers.trees import DecisionTree, RandomForest

MODELS = Path(genservice_classifiers.__file__).parent / "models"
FAMILIES = [DecisionTree, LogisticRegression, NearestNeighbours, RandomForest, SupportVectorMachine]
LEAST_ACCURACY = {
    "mnist-forest": 0.965,
    "mnist-linear-svm": 0.93,
    "mnist-logistic": 0.92,
    "mnist-neighbours": 0.965,
    "mnist-rbf-svm": 0.975,
    "mnist-tree": 0.87,
}


class TestFashionLogistic(ModelConformance):
    family = LogisticRegression
    store = MODELS
    model = "fashion-logistic"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, harness_of_all):
        return harness_of_all


@pytest.fixture(scope="module")
def harness_of_all():
    with Harness(FAMILIES, MODELS) as harness:
        yield harness


def real(source):
    try:
        return source.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)


@pytest.fixture(scope="module")
def handwritten():
    return real(mnist)


def accuracy(harness, model, rows, labels):
    parts = [harness.call(model, "classify", part) for part in np.array_split(rows, -(-len(rows) // 1000))]
    return (np.concatenate(parts).argmax(axis=1) == labels).mean()


@pytest.mark.parametrize(("model", "least"), LEAST_ACCURACY.items())
def test_accuracy_on_some_digits_held_out(harness_of_all, handwritten, model, least):
    # Every twentieth: the first half of MNIST's test pictures is harder than the other.
    rows, labels = handwritten.test_inputs[::20], handwritten.test_labels[::20]
    assert accuracy(harness_of_all, model, rows, labels) >= least - 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("model", "least"), LEAST_ACCURACY.items())
def test_accuracy_on_all_digits_held_out(harness_of_all, handwritten, model, least):
    assert accuracy(harness_of_all, model, handwritten.test_inputs, handwritten.test_labels) >= least


@pytest.mark.parametrize(
    ("model", "source", "least"), [("breast-cancer-logistic", "breast-cancer", 0.95), ("wine-forest", "wine", 0.94)]
)
def test_accuracy_on_the_rows_of_a_table_held_out(harness_of_all, model, source, least):
    data = SOURCES[source](Path())
    assert accuracy(harness_of_all, model, data.test_inputs, data.test_labels) >= least


def test_accuracy_on_all_garments_held_out(harness_of_all):
    data = real(fashion_mnist)
    assert accuracy(harness_of_all, "fashion-logistic", data.test_inputs, data.test_labels) >= 0.84


def test_neighbours_of_a_digit_show_the_same_digit(harness_of_all, handwritten):
    model = NearestNeighbours(harness_of_all.engine.catalog.versions("mnist-neighbours")[0].manifest.config)
    model.load(MODELS / "mnist-neighbours" / "1")
    indexes, _ = model.neighbours(handwritten.test_inputs[:100], 3, model.Options())
    found = handwritten.train_labels[indexes.numpy()]
    assert (found == handwritten.test_labels[:100, None]).mean() > 0.9


def test_files_are_small():
    limits = {"mnist-neighbours": 2.6e6, "mnist-rbf-svm": 3.5e6, "mnist-forest": 4e6}
    for model, most_bytes in limits.items():
        assert (MODELS / model / "1" / "weights.safetensors").stat().st_size <= most_bytes
