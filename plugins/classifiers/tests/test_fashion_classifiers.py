"""The models that ship: they keep what every model keeps, and are as good as their cards say."""

from pathlib import Path

import keras
import numpy as np
import pytest

import genservice_classifiers
from genservice.errors import DataError, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice.testing import Harness, ModelConformance
from genservice.training import fashion_mnist
from genservice.training.cache import cache_folder
from genservice_classifiers.families import ConvolutionalNetwork, LogisticRegression

MODELS = Path(genservice_classifiers.__file__).parent / "models"
FAMILIES = [ConvolutionalNetwork, LogisticRegression]


class TestFashionCnn(ModelConformance):
    family = ConvolutionalNetwork
    store = MODELS
    model = "fashion-cnn"


class TestFashionLogistic(TestFashionCnn):
    family = LogisticRegression
    model = "fashion-logistic"


@pytest.mark.parametrize(("model", "least"), [("fashion-cnn", 0.925), ("fashion-logistic", 0.84)])
def test_accuracy_on_the_test_images(model, least):
    try:
        data = fashion_mnist.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)
    with Harness(FAMILIES, MODELS) as harness:
        parts = [harness.call(model, "classify", rows) for rows in np.split(data.test_inputs, 5)]
    probabilities = np.concatenate(parts)
    assert (probabilities.argmax(axis=1) == data.test_labels).mean() >= least


@pytest.fixture
def bars():
    """Horizontal and vertical bars: images that a minute of training tells apart."""
    rng = np.random.default_rng(0)
    images = np.full((240, 28, 28, 1), -1, np.float32)
    labels = np.arange(240) % 2
    for image, label, place in zip(images, labels, rng.integers(2, 24, 240), strict=True):
        (image.swapaxes(0, 1) if label else image)[place : place + 2] = 1
    return DataSet(
        name="bars",
        train_inputs=images[:200],
        train_labels=labels[:200],
        test_inputs=images[200:],
        test_labels=labels[200:],
        labels=("horizontal", "vertical"),
        licence="CC0-1.0",
        citation="",
    )


@pytest.mark.parametrize(("family", "settings"), [(ConvolutionalNetwork, {"epochs": 8, "batch_size": 20})])
def test_a_training_learns_and_its_files_load(family, settings, bars, tmp_path):
    told = []
    run = FitRun(tmp_path, tmp_path, bars, 3, settings, lambda done, total, figures: told.append((done, total)))
    model = family(family.fit(run))
    model.load(tmp_path)
    assert told[-1][0] == told[-1][1] > 0
    logits = keras.ops.convert_to_numpy(model.logits(bars.test_inputs, None))
    assert (logits.argmax(axis=1) == bars.test_labels).mean() > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_setting_of_training_is_refused(family, bars, tmp_path):
    with pytest.raises(SettingsError, match="epochs"):
        family.fit(FitRun(tmp_path, tmp_path, bars, 0, {"epoch": 1}))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_another_shape_are_refused(family, tmp_path):
    from genservice.errors import IntegrityError

    small = family({"labels": ["a", "b"], "image_shape": [28, 28, 1]})
    name = "fashion-cnn" if family is ConvolutionalNetwork else "fashion-logistic"
    with pytest.raises(IntegrityError, match="shape"):
        small.load(MODELS / name / "1")
