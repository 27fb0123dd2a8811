"""What a config may declare, before anything is loaded."""

import copy
import subprocess
import sys

import numpy as np
import pytest

from genservice.errors import OutOfRange, PluginError
from genservice.model.options import parse_options
from genservice_savedmodel.families import SavedModel, SavedModelClassifier, SavedModelGenerator

PREDICTOR = {
    "path": "graph",
    "signatures": {
        "serving_default": {
            "inputs": {"x": {"shape": [4]}, "steps": {"shape": [], "dtype": "int32"}},
            "outputs": {"y": {"shape": [3]}},
        }
    },
    "options": {"steps": {"type": "integer", "default": 2, "minimum": 1, "maximum": 9, "description": "How many."}},
}
CLASSIFIER = PREDICTOR | {
    "classify": {"input": "x", "output": "y", "gives": "logits", "labels": ["a", "b", "c"]},
}
GENERATOR = PREDICTOR | {"sample": {"output": "y", "noise": {"x": {"distribution": "normal"}}}}
FAMILIES = [(SavedModel, PREDICTOR), (SavedModelClassifier, CLASSIFIER), (SavedModelGenerator, GENERATOR)]


def changed(config, path, value):
    """The config with one value changed; None takes it out."""
    config = copy.deepcopy(config)
    *parents, last = path.split("/")
    inner = config
    for parent in parents:
        inner = inner.setdefault(parent, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return config


def test_configs_are_models_without_tensorflow():
    made = "; ".join(f"{family.__name__}({config!r})" for family, config in FAMILIES)
    code = (
        f"from genservice_savedmodel.families import *; import sys; {made}; "
        "print(*{'tensorflow', 'keras', 'google.protobuf'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not loaded


def test_signatures_take_what_is_no_option():
    model = SavedModel(PREDICTOR)
    assert set(model.signatures["serving_default"].inputs) == {"x"}
    assert model.default_signature == "serving_default"
    assert model.needs_trust


def test_options_have_types_bounds_and_defaults():
    model = SavedModel(PREDICTOR)
    assert parse_options(model.Options, {}, ()).steps == 2
    with pytest.raises(OutOfRange, match="steps"):
        parse_options(model.Options, {"steps": 10}, ())


def test_the_default_of_a_number_may_be_written_without_a_point():
    config = changed(PREDICTOR, "options/steps", {"type": "number", "default": 1, "description": "How much."})
    model = SavedModel(changed(config, "signatures/serving_default/inputs/steps/dtype", "float32"))
    assert isinstance(parse_options(model.Options, {}, ()).steps, float)


def test_a_generator_takes_noise_from_the_server_and_the_rest_as_conditions():
    config = changed(GENERATOR, "signatures/serving_default/inputs/mask", {"shape": [2], "dtype": "bool"})
    model = SavedModelGenerator(config)
    assert set(model.conditions) == {"mask"}
    assert model.event.shape == (3,)
    assert model.media_types == ()


@pytest.mark.parametrize(
    ("family", "config", "path", "value", "match"),
    [
        (SavedModel, PREDICTOR, "path", None, "`path`: Field required"),
        (SavedModel, PREDICTOR, "paths", "a", "`paths`: Extra inputs"),
        (SavedModel, PREDICTOR, "path", "../graph", "name within the version's folder"),
        (SavedModel, PREDICTOR, "path", "..", "name within the version's folder"),
        (SavedModel, PREDICTOR, "signatures", {}, "`signatures`"),
        (SavedModel, PREDICTOR, "default_signature", "serve", "no signature 'serve'.*'serving_default'"),
        (SavedModel, PREDICTOR, "tolerance", 0, "`tolerance`"),
        (SavedModel, PREDICTOR, "signatures/serving_default/outputs", {}, "`signatures.serving_default.outputs`"),
        (SavedModel, PREDICTOR, "signatures/serving_default/inputs/x/dtype", "float16", "dtype is one of"),
        (SavedModel, PREDICTOR, "signatures/serving_default/inputs/x/minimum", 0, "both bounds or none"),
        (SavedModel, PREDICTOR, "signatures/serving_default/outputs/y/dtype", "string", "'y' .* of strings"),
        (
            SavedModel,
            PREDICTOR,
            "signatures/serving_default/inputs/s",
            {"shape": [], "dtype": "string"},
            "takes numbers",
        ),
        (
            SavedModelGenerator,
            GENERATOR,
            "signatures/serving_default/inputs/s",
            {"shape": [2], "dtype": "string"},
            r"'s' .* of strings: it has the shape \[\]",
        ),
        (SavedModel, PREDICTOR, "signatures/serving_default/inputs/x", None, "takes options alone"),
        (SavedModel, PREDICTOR, "signatures/serving_default/inputs/steps/dtype", "float32", "type int64 or int32"),
        (SavedModel, PREDICTOR, "signatures/serving_default/inputs/steps/shape", [1], r"shape \[\]"),
        (SavedModel, PREDICTOR, "options/steps/default", 12, "default of the option 'steps'"),
        (SavedModel, PREDICTOR, "options/steps/default", 1.5, "default of the option 'steps'"),
        (SavedModel, PREDICTOR, "options/steps/default", True, "default of the option 'steps'"),
        (SavedModel, PREDICTOR, "options/steps/type", "string", "`options.steps.type`"),
        (SavedModel, PREDICTOR, "options/steps/type", "boolean", "boolean and has no bounds"),
        (SavedModel, PREDICTOR, "options/steps/description", "", "`options.steps.description`"),
        (
            SavedModel,
            PREDICTOR,
            "options/stops",
            {"type": "boolean", "default": True, "description": "Whether."},
            "'stops' is an input of no signature",
        ),
        (
            SavedModel,
            PREDICTOR,
            "options/_a",
            {"type": "boolean", "default": True, "description": "Whether."},
            "'_a' cannot name an option",
        ),
        (SavedModelClassifier, CLASSIFIER, "classify", None, "`classify`: Field required"),
        (SavedModelClassifier, CLASSIFIER, "classify/input", "z", "one input that is no option, 'z'.*'x'"),
        (SavedModelClassifier, CLASSIFIER, "classify/output", "z", "no output 'z'"),
        (SavedModelClassifier, CLASSIFIER, "classify/gives", "scores", "`classify.gives`"),
        (SavedModelClassifier, CLASSIFIER, "classify/labels", ["a", "b"], "2 labels"),
        (SavedModelClassifier, CLASSIFIER, "classify/labels", ["a"], "`classify.labels`"),
        (SavedModelClassifier, CLASSIFIER, "classify/signature", "other", "no signature 'other'"),
        (
            SavedModelClassifier,
            CLASSIFIER,
            "signatures/serving_default/inputs/mask",
            {"shape": []},
            "one input that is no option, 'x'.*'mask'",
        ),
        (SavedModelGenerator, GENERATOR, "sample/noise", {}, "`sample.noise`"),
        (SavedModelGenerator, GENERATOR, "sample/noise/z", {"distribution": "normal"}, "no input 'z'"),
        (SavedModelGenerator, GENERATOR, "sample/noise/x/distribution", "cauchy", "`sample.noise.x.distribution`"),
        (SavedModelGenerator, GENERATOR, "sample/output", "z", "no output 'z'"),
        (SavedModelGenerator, GENERATOR, "signatures/serving_default/inputs/x/shape", [-1], "shape is fixed"),
        (SavedModelGenerator, GENERATOR, "signatures/serving_default/inputs/x/dtype", "int64", "float32 or float64"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_with_what_is_wrong(family, config, path, value, match):
    with pytest.raises(PluginError, match=match):
        family(changed(config, path, value))


def test_of_several_signatures_one_is_named_the_default():
    signature = {"inputs": {"x": {"shape": []}}, "outputs": {"y": {"shape": []}}}
    config = {"path": "graph", "signatures": {"first": signature, "second": signature}}
    with pytest.raises(PluginError, match="default_signature"):
        SavedModel(config)
    assert SavedModel(config | {"default_signature": "second"}).default_signature == "second"


def test_an_image_with_bounds_is_given_as_a_file():
    config = changed(
        GENERATOR, "signatures/serving_default/outputs/y", {"shape": [2, 2, 1], "minimum": 0, "maximum": 1}
    )
    model = SavedModelGenerator(config)
    assert "image/png" in model.media_types
    assert model.encode_media("image/png", np.ones((2, 2, 1), np.float32)).startswith(b"\x89PNG")
