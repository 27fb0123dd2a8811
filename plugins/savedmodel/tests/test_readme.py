"""What the README says: its Python makes the graphs, its configs serve them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from genservice.engine.settings import EngineSettings
from genservice.errors import InvalidRequest, OutOfRange, PluginError
from genservice.model.noise import Noise, words
from genservice.testing import Harness, ModelConformance
from genservice_savedmodel.families import SavedModelClassifier, SavedModelGenerator

# Keras 3.15 turns its variables into arrays in a way that NumPy 2.4 frowns upon.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRUSTING = EngineSettings(trust_graphs=True)
ROWS = np.random.default_rng(0).uniform(-1, 1, (5, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def store(examples, publish, tmp_path_factory):
    folder, _, (classifier, generator) = examples
    store = tmp_path_factory.mktemp("store")
    publish(store, "animals", SavedModelClassifier, folder / "animals.keras", classifier)
    publish(store, "decoder", SavedModelGenerator, folder / "decoder", generator)
    return store


@pytest.fixture(scope="module")
def harness(store):
    with Harness([SavedModelClassifier, SavedModelGenerator], store, TRUSTING) as harness:
        yield harness


class TestClassifier(ModelConformance):
    family = SavedModelClassifier
    model = "animals"

    @pytest.fixture
    def harness(self, harness):
        return harness


class TestGenerator(TestClassifier):
    family = SavedModelGenerator
    model = "decoder"


def test_a_graph_is_refused_where_graphs_are_not_trusted(store):
    with pytest.raises(PluginError, match="trust_graphs"), Harness([SavedModelClassifier], store):
        pass


def test_the_classifier_gives_the_probabilities_of_the_keras_model(harness, examples):
    expected = keras.ops.convert_to_numpy(examples[1]["model"](ROWS, training=False))
    np.testing.assert_allclose(harness.call("animals", "classify", ROWS), expected, atol=1e-5)
    np.testing.assert_allclose(
        harness.call("animals", "predict:serving_default", {"images": ROWS}), expected, atol=1e-5
    )


def test_the_generator_draws_what_the_graph_makes_of_noise_options_and_conditions(harness, examples):
    seeds, indexes = words([3] * 6), words(range(10, 16))
    z = Noise(seeds, indexes, np.zeros(6, np.uint32)).normal("z", (4,))
    background = np.full((6, 8, 8, 1), 0.25, np.float32)
    for contrast, options in ((1.0, {}), (0.5, {"contrast": 0.5})):
        conditions = {"background": background[:1]}
        drawn = harness.sample("decoder", 6, seed=3, first_index=10, conditions=conditions, options=options)
        expected = examples[1]["decoder"].decode(
            z=tf.constant(z), contrast=tf.fill([6], contrast), background=tf.constant(background)
        )["images"]
        np.testing.assert_allclose(drawn, expected, atol=1e-5)
        called = harness.call("decoder", "predict:decode", {"z": z, "background": background}, options)
        np.testing.assert_allclose(called, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"contrast": 9.0}, OutOfRange, "less than or equal to 4"),
        ({"contrast": True}, InvalidRequest, "contrast"),
        ({"z": 1.0}, InvalidRequest, "no option 'z'"),
    ],
)
def test_options_are_held_to_what_is_declared(harness, options, error, match):
    background = np.zeros((1, 8, 8, 1), np.float32)
    with pytest.raises(error, match=match):
        harness.sample("decoder", 1, conditions={"background": background}, options=options)


def test_a_condition_that_is_missing_is_asked_for(harness):
    with pytest.raises(InvalidRequest, match=r"`conditions\.background` is missing"):
        harness.sample("decoder", 1)
