"""Training: seeded, resumable, and refused where its settings are wrong."""

import numpy as np
import pytest

from genservice.errors import SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice_diffusion.family import ClassConditionalDiffusion

SETTINGS = {"steps": 20, "batch_size": 8, "checkpoint_seconds": 0.0}


@pytest.fixture(scope="module")
def bars():
    rng = np.random.default_rng(0)
    images = np.full((64, 28, 28, 1), -1, np.float32)
    labels = np.arange(64) % 2
    for image, label, place in zip(images, labels, rng.integers(2, 24, 64), strict=True):
        (image.swapaxes(0, 1) if label else image)[place : place + 2] = 1
    return DataSet("bars", images, labels, images[:0], labels[:0], ("horizontal", "vertical"), "CC0-1.0", "")


def run(bars, folder, checkpoints, **more):
    folder.mkdir()
    checkpoints.mkdir(exist_ok=True)
    fit = FitRun(folder, checkpoints, bars, 3, SETTINGS, **more)
    return ClassConditionalDiffusion.fit(fit)


@pytest.mark.slow
def test_a_training_that_is_cut_goes_on_to_the_same_weights(bars, tmp_path):
    told = []
    config = run(
        bars, tmp_path / "whole", tmp_path / "a", progress=lambda done, total, figures: told.append((done, total))
    )
    assert told[-1] == (20, 20)

    def interrupt(done, total, figures):
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(bars, tmp_path / "cut", tmp_path / "b", progress=interrupt)
    run(bars, tmp_path / "resumed", tmp_path / "b")

    from safetensors.numpy import load_file

    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "resumed"))
    for name, weights in whole.items():
        np.testing.assert_allclose(resumed[name], weights, atol=1e-4, err_msg=name)
    model = ClassConditionalDiffusion(config)
    model.load(tmp_path / "whole")
    assert model.labels == ("horizontal", "vertical")


@pytest.mark.slow
def test_the_loss_falls_below_that_of_the_best_guess_without_a_network(bars):
    from genservice_diffusion.training import DenoiserTrainer, Recipe

    trainer = DenoiserTrainer(
        bars.train_inputs,
        bars.train_labels,
        num_classes=2,
        seed=0,
        recipe=Recipe(steps=60, batch_size=32, precision="float32"),
        channels=(8, 16),
        attention_heads=1,
    )
    losses = [float(trainer.train_step()) for _ in range(60)]
    assert losses[0] == pytest.approx(1, abs=0.1)  # What the preconditioning is made for (EDM, appendix B.6).
    assert np.mean(losses[-10:]) < 0.8


@pytest.mark.parametrize(
    ("settings", "message"), [({"step": 5}, "steps"), ({"label_dropout": 1.0}, "label_dropout"), ({"steps": 0}, "step")]
)
def test_a_wrong_setting_is_refused(bars, tmp_path, settings, message):
    with pytest.raises(SettingsError, match=message):
        ClassConditionalDiffusion.fit(FitRun(tmp_path, tmp_path, bars, 0, settings))
