"""Graphs are what their configs declare, and do what they do."""

import gc
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from genservice.engine.settings import EngineSettings
from genservice.errors import PluginError
from genservice.testing import Harness
from genservice_savedmodel.families import SavedModel, SavedModelClassifier, SavedModelGenerator

# Keras 3.15 turns its variables into arrays in a way that NumPy 2.4 frowns upon.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRUSTING = EngineSettings(trust_graphs=True)
NO_OPTIONS = SimpleNamespace()


def save(folder, signature, *specs):
    """Saves a module with one signature, `graph`."""
    module = tf.Module()
    module.function = tf.function(signature, input_signature=specs, autograph=False)
    tf.saved_model.save(module, folder / "graph", signatures={"serve": module.function})
    return folder


def config(inputs, outputs, **rest):
    return {"path": "graph", "signatures": {"serve": {"inputs": inputs, "outputs": outputs}}, **rest}


@pytest.fixture(scope="module")
def adder(tmp_path_factory):
    """y = x + n, z = 2 x."""
    return save(
        tmp_path_factory.mktemp("adder"),
        lambda x, n: {"y": x + tf.cast(n, tf.float32)[:, None], "z": 2 * x},
        tf.TensorSpec([None, 3], tf.float32, "x"),
        tf.TensorSpec([None], tf.int32, "n"),
    )


X, N, Y = {"shape": [3]}, {"shape": [], "dtype": "int32"}, {"shape": [3]}


def test_a_signature_is_called_with_named_tensors_and_gives_the_declared_ones(adder):
    model = SavedModel(config({"x": X, "n": N}, {"y": Y}))
    model.load(adder)
    outputs = model.predict("serve", {"x": tf.ones([2, 3]), "n": tf.constant([1, 5])}, NO_OPTIONS)
    assert {name: rows.numpy().tolist() for name, rows in outputs.items()} == {"y": [[2, 2, 2], [6, 6, 6]]}


def test_an_option_fills_the_input_of_its_name(adder):
    options = {"n": {"type": "integer", "default": 3, "description": "What is added."}}
    model = SavedModel(config({"x": X, "n": N}, {"y": Y, "z": Y}, options=options))
    model.load(adder)
    outputs = model.predict("serve", {"x": tf.ones([2, 3])}, SimpleNamespace(n=tf.constant([1, 5], tf.int64)))
    assert outputs["y"].numpy().tolist() == [[2, 2, 2], [6, 6, 6]]


def test_a_model_holds_its_variables(tmp_path):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(3)])
    network.save(tmp_path / "m.keras")
    network.export(tmp_path / "graph", verbose=False)
    (name,) = tf.saved_model.load(tmp_path / "graph").signatures["serving_default"].structured_input_signature[1]
    exported = {"inputs": {name: X}, "outputs": {"output_0": Y}}
    models = [
        SavedModel({"path": "graph", "signatures": {"serving_default": exported}}),
        SavedModel(config({"x": X}, {"y": Y}) | {"path": "m.keras"}),
    ]
    for model in models:
        model.load(tmp_path)
    gc.collect()
    rows = tf.constant(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    for model in models:
        ((field, _),) = model.signatures[model.default_signature].inputs.items()
        (outputs,) = model.predict(model.default_signature, {field: rows}, NO_OPTIONS).values()
        np.testing.assert_allclose(outputs, network(rows), atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "match"),
    [
        ({"x": X}, {"y": Y}, r"takes n too, which the config does not declare"),
        (
            {"x": X, "m": N},
            {"y": Y},
            r"the input 'm' of the signature 'serve', and the graph has none\. There are: 'n'",
        ),
        ({"x": X, "n": N}, {"w": Y}, r"the output 'w' of the signature 'serve', and the graph has none"),
        ({"x": X, "n": {"shape": [], "dtype": "int64"}}, {"y": Y}, r"'n' .* as int64; the graph has int32"),
        ({"x": {"shape": [4]}, "n": N}, {"y": Y}, r"'x' .* the shape \[4\] a row; the graph has \[3\]"),
        ({"x": {"shape": [-1]}, "n": N}, {"y": Y}, r"the shape \[-1\] a row; the graph has \[3\]"),
        ({"x": {"shape": [3, 1]}, "n": N}, {"y": Y}, r"the shape \[3, 1\] a row; the graph has \[3\]"),
        ({"x": X, "n": N}, {"y": {"shape": [3], "dtype": "float64"}}, r"'y' .* as float64; the graph has float32"),
    ],
)
def test_a_declaration_that_differs_from_the_graph_is_refused_naming_both(adder, inputs, outputs, match):
    with pytest.raises(PluginError, match=match):
        SavedModel(config(inputs, outputs)).load(adder)


def test_a_signature_that_the_graph_has_not_is_refused(adder):
    declared = {"path": "graph", "signatures": {"serving": {"inputs": {"x": X}, "outputs": {"y": Y}}}}
    with pytest.raises(PluginError, match=r"no signature 'serving'\. Did you mean 'serve'"):
        SavedModel(declared).load(adder)


def test_a_path_that_the_version_has_not_is_refused(adder):
    with pytest.raises(PluginError, match="of the name 'other'"):
        SavedModel(config({"x": X, "n": N}, {"y": Y}) | {"path": "other"}).load(adder)


def test_a_graph_for_a_fixed_number_of_rows_is_refused(tmp_path):
    save(tmp_path, lambda x: {"y": x}, tf.TensorSpec([8, 3], tf.float32, "x"))
    with pytest.raises(PluginError, match=r"\[8, 3\]: its first dimension is the rows"):
        SavedModel(config({"x": X}, {"y": Y})).load(tmp_path)


def test_extents_that_the_graph_leaves_open_may_be_declared_fixed_and_are_then_held_to(tmp_path):
    save(tmp_path, lambda x: {"y": tf.concat([x, x], 1)}, tf.TensorSpec([None, None], tf.float32, "x"))
    model = SavedModel(config({"x": X}, {"y": Y}))
    model.load(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible"):
        model.predict("serve", {"x": tf.ones([2, 3])}, NO_OPTIONS)
    model = SavedModel(config({"x": {"shape": [-1]}}, {"y": {"shape": [-1]}}))
    model.load(tmp_path)
    assert model.predict("serve", {"x": tf.ones([2, 3])}, NO_OPTIONS)["y"].shape == (2, 6)


@pytest.mark.parametrize(("gives", "activation"), [("logits", None), ("probabilities", "sigmoid")])
def test_one_number_tells_the_second_of_two_labels(gives, activation, tmp_path):
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, activation=activation, bias_initializer="ones")]
    )
    network.save(tmp_path / "graph.keras")
    declared = config({"x": X}, {"p": {"shape": [1]}}) | {
        "path": "graph.keras",
        "classify": {"input": "x", "output": "p", "gives": gives, "labels": ["no", "yes"]},
    }
    model = SavedModelClassifier(declared)
    model.load(tmp_path)
    rows = tf.constant(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    probabilities = tf.nn.softmax(model.logits(rows, NO_OPTIONS)).numpy()
    output = network(rows).numpy()[:, 0]
    expected = output if activation else 1 / (1 + np.exp(-output))
    np.testing.assert_allclose(probabilities, np.stack([1 - expected, expected], axis=1), atol=1e-6)


def test_a_probability_of_zero_is_served(tmp_path):
    save(tmp_path, lambda x: {"p": tf.one_hot(tf.argmax(x, 1), 3)}, tf.TensorSpec([None, 3], tf.float32, "x"))
    classify = {"input": "x", "output": "p", "gives": "probabilities", "labels": ["a", "b", "c"]}
    model = SavedModelClassifier(config({"x": X}, {"p": X}, classify=classify))
    model.load(tmp_path)
    logits = model.logits(tf.constant([[0.0, 5.0, 1.0]]), NO_OPTIONS)
    assert tf.nn.softmax(logits).numpy().tolist() == [[0, 1, 0]]


def test_several_inputs_and_outputs_of_a_keras_file_have_the_names_of_its_layers(tmp_path):
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right", dtype="float64")
    added = keras.layers.Identity(name="added")(left + right)
    keras.Model({"left": left, "right": right}, [added, keras.layers.Identity(name="same")(left)]).save(
        tmp_path / "m.keras"
    )
    two, wide = {"shape": [2]}, {"shape": [2], "dtype": "float64"}
    declared = {
        "path": "m.keras",
        "signatures": {"f": {"inputs": {"left": two, "right": wide}, "outputs": {"same": two, "added": two}}},
    }
    model = SavedModel(declared)
    model.load(tmp_path)
    inputs = {"left": tf.ones([1, 2]), "right": tf.fill([1, 2], tf.constant(2, tf.float64))}
    outputs = model.predict("f", inputs, NO_OPTIONS)
    assert outputs["added"].numpy().tolist() == [[3, 3]]
    assert outputs["same"].numpy().tolist() == [[1, 1]]
    declared["signatures"]["f"]["inputs"]["middle"] = two
    with pytest.raises(PluginError, match="the input 'middle'"):
        SavedModel(declared).load(tmp_path)


def test_layers_for_words_and_sequences_are_served(tmp_path, publish):
    text = keras.Input((), dtype="string", name="text")
    tokens = keras.layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=4)(text)
    hidden = keras.layers.LSTM(4)(keras.layers.Embedding(4, 4, mask_zero=True)(tokens))
    network = keras.Model(text, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(hidden)))
    network.save(tmp_path / "texts.keras")
    declared = config({"text": {"shape": [], "dtype": "string"}}, {"logits": {"shape": [2]}}) | {
        "path": "texts.keras",
        "classify": {"input": "text", "output": "logits", "gives": "logits", "labels": ["for", "against"]},
    }
    publish(tmp_path / "store", "texts", SavedModelClassifier, tmp_path / "texts.keras", declared)
    texts = ["a cat and a dog", "Dog!", ""]
    with Harness([SavedModelClassifier], tmp_path / "store", TRUSTING) as harness:
        probabilities = harness.call("texts", "classify", texts)
    expected = keras.ops.softmax(network(tf.constant(texts), training=False))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Layer):
    def call(self, inputs):
        return inputs


def rewritten(folder, old, new):
    """A `.keras` file whose config somebody has changed."""
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="last")]).save(folder / "whole.keras")
    with zipfile.ZipFile(folder / "whole.keras") as whole, zipfile.ZipFile(folder / "m.keras", "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            archive.writestr(name, content.replace(old, new) if name == "config.json" else content)


def test_a_lambda_layer_is_refused(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1, name="plus")(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(PluginError, match=r"'m.keras' has a Lambda \(plus\), which is Python code; it is refused"):
        SavedModel(KERAS).load(tmp_path)


KERAS = config({"x": X}, {"y": Y}) | {"path": "m.keras"}


def test_a_layer_that_is_not_of_keras_is_refused(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, Own()(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(PluginError, match=r"has a Own .* no layer of Keras's own; it is refused"):
        SavedModel(KERAS).load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b'"class_name": "Dense"', b'"class_name": "TFSMLayer"', "TFSMLayer .*another graph"),
        (b'"class_name": "Dense"', b'"class_name": "TorchModuleWrapper"', "TorchModuleWrapper .*pickle"),
        (b'"class_name": "Dense"', b'"class_name": "__lambda__"', "__lambda__ .*Python code"),
        (b'"keras.layers", "class_name": "Dense"', b'"os", "class_name": "system"', "system .*of os"),
        (b'"class_name": "Dense"', b'"class_name": "NoSuch"', "cannot be loaded: .*NoSuch"),
        (
            b'"keras.layers", "class_name": "Dense"',
            b'"keras.utils", "class_name": "function"',
            "function .*of keras.utils",
        ),
        (b'"units": 3', b'"units": 2', "cannot be loaded"),
        (b"{", b"", "is no `.keras` file, or is damaged"),
    ],
)
def test_a_keras_file_with_a_config_of_evil_is_refused(old, new, match, tmp_path):
    rewritten(tmp_path, old, new)
    with pytest.raises(PluginError, match=match):
        SavedModel(KERAS).load(tmp_path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(PluginError, match=r"is no `\.keras` file, or is damaged"):
        SavedModel(KERAS).load(tmp_path)


def test_a_keras_file_has_one_signature(tmp_path):
    rewritten(tmp_path, b"", b"")
    signature = {"inputs": {"x": X}, "outputs": {"y": Y}}
    declared = {"path": "m.keras", "signatures": {"a": signature, "b": signature}, "default_signature": "a"}
    with pytest.raises(PluginError, match="one signature; the config declares 2"):
        SavedModel(declared).load(tmp_path)


def generator(folder, draw, publish, **noise):
    save(folder, lambda z: {"y": draw(z)}, tf.TensorSpec([None, 3], tf.float32, "z"))
    sample = {"output": "y", "noise": {"z": noise or {"distribution": "normal"}}}
    declared = config({"z": {"shape": [3], "minimum": -2, "maximum": 6}}, {"y": Y}, sample=sample)
    publish(folder / "store", "own", SavedModelGenerator, folder / "graph", declared)
    return Harness([SavedModelGenerator], folder / "store", TRUSTING)


def test_uniform_noise_lies_between_the_bounds_of_its_input(tmp_path, publish):
    with generator(tmp_path, lambda z: z, publish, distribution="uniform") as harness:
        samples = harness.sample("own", 1000)
    assert samples.min() > -2
    assert samples.max() < 6
    assert abs(samples.mean() - 2) < 0.3


def test_a_generator_with_random_numbers_of_its_own_is_found_out(tmp_path, publish):
    draws = generator(tmp_path, lambda z: tf.random.normal(tf.shape(z)), publish)
    with pytest.raises(PluginError, match="all randomness must come from the noise object"), draws:
        pass


def test_a_generator_that_ignores_its_noise_is_found_out(tmp_path, publish):
    with pytest.raises(PluginError, match="not a constant"), generator(tmp_path, tf.zeros_like, publish):
        pass
