import numpy as np
import pytest

import genservice
from genservice.model import base

VERBS = {
    genservice.Generator: {"sample"},
    genservice.IterativeGenerator: {"allocate", "enter", "step", "finish"},
    genservice.TextGenerator: {"allocate", "enter", "step", "detokenize"},
    genservice.Classifier: {"logits"},
    genservice.Scorer: {"log_prob"},
    genservice.Latent: {"encode", "decode"},
    genservice.Embedder: {"embed"},
    genservice.Tagger: {"tag"},
}


class Grey(genservice.Generator):
    family = "grey"
    event = genservice.TensorSpec((2, 2, 1), minimum=0, maximum=1)
    media_types = ("image/png",)

    def load(self, directory):
        self.directory = directory

    def sample(self, noise, options, conditions):
        return noise.uniform("grey", (2, 2, 1))


@pytest.mark.parametrize(("capability", "verbs"), VERBS.items())
def test_a_capability_must_have_its_verbs_and_be_loadable(capability, verbs):
    assert capability.__abstractmethods__ == verbs | {"load"}
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (capability,), {"family": "half"})({})


def test_a_model_keeps_its_config():
    assert Grey({"width": 3}).config == {"width": 3}


def test_a_model_says_the_least_by_default():
    model = Grey({})
    assert model.Options is genservice.Options
    assert (model.labels, model.conditions) == ((), {})
    assert model.determinism is genservice.Determinism.SAME_DRAWS
    assert model.traced


def test_capabilities_can_be_combined():
    class Both(Grey, genservice.Classifier):
        family = "both"

        def logits(self, inputs, options):
            return np.zeros((len(inputs), 2), np.float32)

    model = Both({})
    assert isinstance(model, genservice.Generator)
    assert isinstance(model, genservice.Classifier)


def test_a_scorer_is_exact_unless_it_says_otherwise():
    assert base.Scorer.score_kind is genservice.ScoreKind.EXACT


def test_images_are_encoded_by_default():
    assert Grey({}).encode_media("image/png", np.zeros((2, 2, 1), np.float32)).startswith(b"\x89PNG")


def test_a_family_without_training_says_so(tmp_path):
    nothing = np.zeros(0)
    data = genservice.DataSet("none", nothing, nothing, nothing, nothing, (), "CC0-1.0", "nobody")
    with pytest.raises(NotImplementedError, match="'grey' cannot be trained"):
        Grey.fit(genservice.FitRun(tmp_path, tmp_path, data, seed=0))


def test_progress_and_settings_of_a_training_can_be_left_out(tmp_path):
    nothing = np.zeros(0)
    data = genservice.DataSet("none", nothing, nothing, nothing, nothing, (), "CC0-1.0", "nobody")
    run = genservice.FitRun(tmp_path, tmp_path, data, seed=0)
    assert run.settings == {}
    run.progress(1, 2, {"loss": 0.5})
