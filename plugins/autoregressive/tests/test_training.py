"""Training: seeded, resumable, better than no training, and refused where its settings are wrong."""

import numpy as np
import pytest

from genservice.errors import SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice_autoregressive.excerpts import RandomExcerpts, shifted
from genservice_autoregressive.family import Transformer
from genservice_autoregressive.training import Recipe

SETTINGS = {
    "steps": 60,
    "context": 32,
    "layers": 1,
    "width": 32,
    "heads": 2,
    "hidden": 48,
    "characters_a_step": 128,
    "stages": ((0.5, 16), (0.5, 32)),
    "warmup_steps": 5,
    "learning_rate": 1e-2,
    "checkpoint_seconds": 0.0,
}


@pytest.fixture(scope="module")
def rhymes():
    texts = np.empty(3, object)
    texts[:] = ["to be or not to be, " * 20, "that is the question. " * 20, "to be or not, " * 10]
    none = np.zeros(0, np.int64)
    return DataSet("rhymes", texts[:2], none, texts[2:], none, (), "CC0-1.0", "")


def run(data, folder, checkpoints, **more):
    folder.mkdir()
    checkpoints.mkdir(exist_ok=True)
    return Transformer.fit(FitRun(folder, checkpoints, data, 3, SETTINGS, **more))


@pytest.mark.slow
def test_a_training_that_is_cut_goes_on_to_the_same_weights_and_has_learnt(rhymes, tmp_path):
    told = []
    config = run(
        rhymes, tmp_path / "whole", tmp_path / "a", progress=lambda done, total, figures: told.append((done, total))
    )
    assert told[-1] == (60, 60)

    def interrupt(done, total, figures):
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(rhymes, tmp_path / "cut", tmp_path / "b", progress=interrupt)
    run(rhymes, tmp_path / "resumed", tmp_path / "b")

    from safetensors.numpy import load_file

    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    for name, weights in whole.items():
        np.testing.assert_allclose(resumed[name], weights, atol=1e-5, err_msg=name)

    model = Transformer(config)
    model.load(tmp_path / "whole")
    assert config["characters"] == " ,.abehinoqrstu"
    (text,) = rhymes.test_inputs
    excerpts = [text[start : start + 31] for start in range(0, len(text), 31)]
    scores = np.asarray(model.log_prob(np.stack([model.tokenize(excerpt) for excerpt in excerpts]), None))
    # Of 15 characters, each as likely as another, it would be 2.71.
    assert -scores.sum() / len(text) < 1.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 5}, "steps"),
        ({"width": 40, "heads": 3}, "multiple of 2"),
        ({"stages": ((1.0, 24),)}, "divide 128"),
        ({"stages": ((1.0, 64),)}, "at most 32"),
    ],
)
def test_a_wrong_setting_is_refused(rhymes, tmp_path, settings, message):
    with pytest.raises(SettingsError, match=message):
        Transformer.fit(FitRun(tmp_path, tmp_path, rhymes, 0, SETTINGS | settings))


def test_the_excerpts_grow_from_stage_to_stage():
    recipe = Recipe(steps=10, stages=((0.5, 128), (0.3, 256), (0.2, 512)))
    assert [recipe.excerpt_length(step) for step in range(10)] == [128] * 5 + [256] * 3 + [512] * 2


def test_excerpts_begin_anywhere_and_cross_no_end_of_a_text():
    texts = [np.arange(10, dtype=np.int32), np.arange(100, 106, dtype=np.int32), np.array([200], np.int32)]
    rows = RandomExcerpts(texts, 4).draw(np.random.default_rng(0), 1000, 4)
    assert (np.diff(rows, axis=1) == 1).all()
    starts, counts = np.unique(rows[:, 0], return_counts=True)
    assert starts.tolist() == [*range(7), 100, 101, 102]
    assert counts.min() > 60


def test_excerpts_longer_than_every_text_are_refused():
    with pytest.raises(SettingsError, match="11 characters"):
        RandomExcerpts([np.arange(10, dtype=np.int32)], 11)


def test_the_network_is_given_what_is_before_each_character():
    np.testing.assert_array_equal(shifted(np.array([[3, 1, 2]], np.int32), 9), [[9, 3, 1]])
