"""The families of networks: they learn, keep what every model keeps, and go on where a training was cut off."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file

from genservice.errors import DataError, IntegrityError, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice.plugin_host import Family
from genservice.store.store import ModelStore
from genservice.testing import Harness, ModelConformance
from genservice.training.train import Recipe, train
from genservice_classifiers.families import ConvolutionalNetwork, MultilayerPerceptron

FAMILIES = [ConvolutionalNetwork, MultilayerPerceptron]
SMALL = {
    "cnn": {"epochs": 8, "batch_size": 20, "width": 8, "depth": 2, "peak_learning_rate": 0.01},
    "mlp": {"epochs": 25, "batch_size": 20, "width": 24, "max_shift": 0},
}
RESUMED = {"epochs": 3, "batch_size": 20, "width": 4, "checkpoint_seconds": 0.0}


def draw_bars(shape):
    """Horizontal and vertical bars: images that a few seconds of training tell apart."""
    height, width, channels = shape
    rng = np.random.default_rng(0)
    images = np.full((240, *shape), -1, np.float32)
    labels = np.arange(240) % 2
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(1, height - 3), rng.integers(1, width - 3)
        bar = image[:, column : column + 2] if label else image[row : row + 2]
        bar[...] = rng.uniform(0, 1, channels)
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


@pytest.fixture(scope="module")
def bars():
    return draw_bars((12, 14, 3))


@pytest.fixture(scope="module")
def progress():
    """What the trainings of the fixture `fitted` told, by family."""
    return {family.family: [] for family in FAMILIES}


@pytest.fixture(scope="module")
def store(bars, progress, tmp_path_factory):
    """Folder of a store with a small model of each family, named like it."""
    folder = tmp_path_factory.mktemp("fitted")
    for family in FAMILIES:
        name = family.family
        train(
            Family(name, family, "", "0"),
            bars,
            ModelStore([folder / "store"]),
            Recipe(model=name, seed=3, settings=SMALL[name]),
            cache=folder / "cache",
            progress=lambda done, total, figures, name=name: progress[name].append((done, total, set(figures))),
        )
    return folder / "store"


@pytest.fixture(scope="module")
def fitted(store):
    """The small models on an engine."""
    with Harness(FAMILIES, store) as harness:
        yield harness


class TestConvolutionalNetwork(ModelConformance):
    family = ConvolutionalNetwork
    model = "cnn"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, fitted):
        return fitted


class TestMultilayerPerceptron(TestConvolutionalNetwork):
    family = MultilayerPerceptron
    model = "mlp"


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_a_training_learns_and_tells_how_far_it_is(fitted, progress, bars, name):
    probabilities = fitted.call(name, "classify", bars.test_inputs)
    assert (probabilities.argmax(axis=1) == bars.test_labels).mean() > 0.9
    steps = [done for done, _, _ in progress[name]]
    assert steps == sorted(steps)
    assert progress[name][-1] == (steps[-1], steps[-1], {"loss", "accuracy"})


@pytest.mark.parametrize(("name", "dimensions"), [("cnn", 32), ("mlp", 24)])
def test_the_log_odds_are_an_affine_map_of_the_embedding(fitted, name, dimensions):
    images = np.random.default_rng(1).uniform(-1, 1, (200, 12, 14, 3)).astype(np.float32)
    embeddings = fitted.call(name, "embed", images)
    assert embeddings.shape == (200, dimensions)
    assert embeddings.min() >= 0
    log_odds = np.diff(np.log(fitted.call(name, "classify", images)))
    regressors = np.concatenate([embeddings, np.ones((200, 1), np.float32)], axis=1)
    left = log_odds - regressors @ np.linalg.lstsq(regressors, log_odds, rcond=None)[0]
    assert np.abs(left).max() < 1e-3


@pytest.mark.parametrize("family", [pytest.param(ConvolutionalNetwork, marks=pytest.mark.slow), MultilayerPerceptron])
def test_a_training_that_is_cut_goes_on_to_the_same_weights(family, bars, tmp_path):
    def run(name, progress=lambda done, total, figures: None):
        (tmp_path / name).mkdir()
        checkpoints = tmp_path / f"checkpoints-of-{'whole' if name == 'whole' else 'cut'}"
        checkpoints.mkdir(exist_ok=True)
        family.fit(FitRun(tmp_path / name, checkpoints, bars, 3, RESUMED, progress))

    def interrupt(done, total, figures):
        if done == 20:
            raise KeyboardInterrupt

    told = []
    run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("cut", interrupt)
    assert not list((tmp_path / "cut").iterdir())
    run("resumed", lambda done, total, figures: told.append(done))
    assert told == [20, 30]
    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "resumed"))
    for name, weights in whole.items():
        np.testing.assert_allclose(resumed[name], weights, atol=1e-5, err_msg=name)


def test_weights_trained_in_another_precision_are_float32(bars, tmp_path):
    settings = {"epochs": 1, "batch_size": 100, "width": 8, "precision": "mixed_bfloat16"}
    MultilayerPerceptron.fit(FitRun(tmp_path, tmp_path, bars, 0, settings))
    assert {str(weights.dtype) for weights in load_file(tmp_path / "weights.safetensors").values()} == {"float32"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 1}, "epochs"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"max_shift": -1}, "max_shift"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"warmup_fraction": -0.1}, "warmup_fraction"),
        ({"precision": "float8"}, "precision is float32 or mixed_bfloat16"),
    ],
)
def test_a_wrong_setting_of_training_is_refused(family, settings, message, bars, tmp_path):
    with pytest.raises(SettingsError, match=message):
        family.fit(FitRun(tmp_path, tmp_path, bars, 0, settings))


def test_a_dropout_of_everything_is_refused(bars, tmp_path):
    with pytest.raises(SettingsError, match="dropout"):
        MultilayerPerceptron.fit(FitRun(tmp_path, tmp_path, bars, 0, {"dropout": 1.0}))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "change", [{"train_inputs": np.zeros((200, 13), np.float32)}, {"train_labels": np.zeros(0, np.int64)}]
)
def test_data_without_images_and_their_labels_is_refused(family, change, bars, tmp_path):
    with pytest.raises(DataError, match="bars has no images"):
        family.fit(FitRun(tmp_path, tmp_path, dataclasses.replace(bars, **change), 0))


def test_images_that_are_too_small_to_be_pooled_are_refused(bars, tmp_path):
    small = dataclasses.replace(bars, train_inputs=bars.train_inputs[:, :3])
    with pytest.raises(DataError, match="4 pixels"):
        ConvolutionalNetwork.fit(FitRun(tmp_path, tmp_path, small, 0))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", [{"labels": ["a", "b", "c"]}, {"width": 5}])
def test_weights_of_another_shape_are_refused(family, change, store):
    versions = ModelStore([store])
    folder, config = versions.directory(family.family, 1), versions.manifest(family.family, 1).config
    with pytest.raises(IntegrityError, match="shape"):
        family({**config, **change}).load(folder)
