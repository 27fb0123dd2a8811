"""The sampler, against the one data set whose denoiser is known: normal pixels."""

from itertools import pairwise

import numpy as np
import pytest
from keras import ops

from genservice_diffusion.sampler import NoiseLevels, advance, guidance_weights

LEVELS = NoiseLevels(sigma_min=0.02, sigma_max=80.0, rho=7.0)
MEAN, DEVIATION = 0.3, 0.5


def level(position, steps):
    return float(LEVELS.at(np.int32([position]), np.int32([steps]))[0])


def best_guess(images, sigmas):
    sigmas = sigmas[:, None, None, None]
    return (DEVIATION**2 * images + sigmas**2 * MEAN) / (DEVIATION**2 + sigmas**2)


def solve(start, steps):
    """Runs rows with their own numbers of steps for as long as the longest takes."""
    steps = np.int32(steps)
    images, before = start, np.zeros_like(start)
    for done in range(steps.max()):
        position = np.minimum(np.int32(done), steps - 1)
        live = (done < steps)[:, None, None, None]
        denoised = best_guess(images, ops.convert_to_numpy(LEVELS.at(position, steps)))
        after = ops.convert_to_numpy(advance(images, denoised, before, position, steps, LEVELS))
        images, before = np.where(live, after, images), np.where(live, denoised, before)
    return images


def exact(start):
    """The solution of dx/dsigma = (x - D(x; sigma)) / sigma from sigma_max to 0."""
    return MEAN + (start - MEAN) * DEVIATION / np.hypot(DEVIATION, LEVELS.sigma_max)


@pytest.fixture
def start():
    return (LEVELS.sigma_max * np.random.default_rng(0).normal(size=(4, 2, 2, 1))).astype(np.float32)


@pytest.mark.parametrize("steps", [1, 2, 3, 20, 100])
def test_the_levels_fall_from_the_greatest_to_none(steps):
    levels = [level(position, steps) for position in range(steps + 1)]
    assert levels[0] == pytest.approx(80, rel=1e-5)
    assert levels[-1] == 0
    assert all(later < earlier for earlier, later in pairwise(levels))
    if steps > 1:
        assert levels[-2] == pytest.approx(0.02, rel=1e-4)


def test_a_position_outside_gives_the_nearest_level():
    assert level(-1, 10) == level(0, 10)
    assert level(12, 10) == 0


def test_one_step_gives_the_denoised_images(start):
    np.testing.assert_allclose(solve(start, [1] * 4), best_guess(start, np.full(4, 80.0)), rtol=1e-4)


def test_the_first_step_is_that_of_ddim(start):
    denoised = best_guess(start, np.full(4, 80.0))
    position, steps = np.zeros(4, np.int32), np.full(4, 10, np.int32)
    ratio = level(1, 10) / level(0, 10)
    ddim = denoised + ratio * (start - denoised)
    np.testing.assert_allclose(advance(start, denoised, start * 7, position, steps, LEVELS), ddim, rtol=1e-5)


def test_the_error_falls_faster_than_the_number_of_steps_grows(start):
    def error(steps):
        return np.abs(solve(start, [steps] * 4) - exact(start)).max()

    assert error(20) < 0.05
    assert error(40) < error(20) / 3


def test_rows_with_different_numbers_of_steps_do_not_touch_each_other(start):
    steps = [3, 10, 1, 25]
    together = solve(start, steps)
    for row, own in enumerate(steps):
        np.testing.assert_allclose(together[row], solve(start[row : row + 1], [own])[0], rtol=1e-5)


def test_guidance_beyond_the_label_is_limited_to_the_lower_levels():
    scales, sigmas = np.float32([2, 2, 0.5, 0.5]), np.float32([1, 10, 1, 10])
    np.testing.assert_array_equal(guidance_weights(scales, sigmas, 3.0), [2, 1, 0.5, 0.5])


def test_a_row_that_is_long_done_gives_no_nan():
    images = np.ones((1, 2, 2, 1), np.float32)
    after = ops.convert_to_numpy(advance(images, images, images, np.int32([0]), np.int32([1]), LEVELS))
    np.testing.assert_array_equal(after, images)
