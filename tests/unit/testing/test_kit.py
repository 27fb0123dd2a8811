"""The kit accepts what it should, and refuses what it should."""

import numpy as np
import pytest

from genservice import Generator, TensorSpec
from genservice.errors import PluginError
from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice.testing import Harness, measure_diversity

GRID = np.linspace(-1, 1, 12)


def shapes(count, seed):
    """Discs of many places and sizes: data with structure."""
    rng = np.random.default_rng(seed)
    x, y, size = rng.uniform(-0.5, 0.5, (3, count, 1, 1))
    distance = np.hypot(GRID[None, None, :] - x, GRID[None, :, None] - y)
    return np.tanh(8 * (0.6 + 0.5 * size - distance)).astype(np.float32)[..., None]


def test_other_samples_of_the_data_are_as_diverse_as_the_data():
    diversity = measure_diversity(shapes(256, 1), shapes(512, 2))
    assert diversity.passes
    assert diversity.spread == pytest.approx(1, abs=0.15)
    assert diversity.structure == pytest.approx(1, abs=0.15)


def test_a_constant_is_not_diverse():
    mean = shapes(512, 2).mean(axis=0)
    assert not measure_diversity(np.repeat(mean[None], 256, axis=0), shapes(512, 2)).passes


@pytest.mark.parametrize("strength", [0.1, 0.5, 1, 3, 30])
def test_the_mean_image_plus_noise_is_not_diverse(strength):
    data = shapes(512, 2)
    noise = np.random.default_rng(0).normal(size=(256, *data.shape[1:])) * strength * data.std()
    assert not measure_diversity(data.mean(axis=0) + noise, data).passes


def test_a_generator_that_has_collapsed_to_two_samples_with_little_noise_is_not_diverse():
    near = shapes(1, 5) + 0.05 * np.random.default_rng(0).normal(size=(256, 12, 12, 1))
    assert not measure_diversity(near, shapes(512, 2)).passes


class Constant(Generator):
    family = "constant"
    traced = False
    event = TensorSpec((2,))

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return np.zeros((len(noise.uniform("z")), 2), np.float32)


def test_a_constant_generator_is_refused_at_load(tmp_path):
    ModelStore([tmp_path]).publish(
        "constant",
        lambda _: Manifest(family="constant", plugin="toys", plugin_version="1", serving=Serving(max_batch_rows=8)),
    )
    with pytest.raises(PluginError, match="not a constant"), Harness([Constant], tmp_path):
        pass
