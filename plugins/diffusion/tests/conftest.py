"""A tiny network with weights drawn at random: what is tested with it does not depend on what it has learned."""

import numpy as np
import pytest

from genservice import save_weights
from genservice_diffusion.family import WEIGHTS, ClassConditionalDiffusion

LABELS = ("ring", "cross", "bar")
SHAPE = (8, 8, 1)
DENOISER = {"data_mean": -0.3, "sigma_data": 0.6, "channels": [4, 8, 8], "attention_heads": 2}
LEVELS = {"sigma_min": 0.05, "sigma_max": 20.0, "rho": 7.0}


@pytest.fixture(scope="session")
def tiny_denoiser():
    import keras

    from genservice_diffusion.denoiser import Denoiser

    keras.utils.set_random_seed(0)
    denoiser = Denoiser(image_shape=SHAPE, num_classes=len(LABELS), **DENOISER)
    for variable in denoiser.weights:
        if variable.path.endswith("gain"):
            variable.assign([0.7])  # Gains start at zero, which would hide what depends on noise level and label.
    return denoiser


@pytest.fixture(scope="session")
def tiny(tiny_denoiser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save_weights(tiny_denoiser, folder / WEIGHTS)
    config = {
        "labels": list(LABELS),
        "image_shape": list(SHAPE),
        "denoiser": DENOISER,
        "noise_levels": LEVELS,
        "guided_below": 4.0,
    }
    model = ClassConditionalDiffusion(config)
    model.load(folder)
    return model


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)
