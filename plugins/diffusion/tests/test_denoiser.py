"""The denoiser: EDM's preconditioning around the U-Net."""

import numpy as np
import pytest
from keras import ops

from genservice_diffusion.denoiser import Denoiser

SIGMAS = np.float32([0.02, 0.1, 0.5, 2, 10, 80])
LABELS = np.int32([0, 1, 2, 3, 0, 1])


def denoise(denoiser, images, sigmas=SIGMAS, labels=LABELS):
    return ops.convert_to_numpy(denoiser(images, sigmas, labels))


def test_untrained_it_is_the_best_guess_for_normal_pixels(images):
    denoiser = Denoiser(
        image_shape=(8, 8, 1), num_classes=3, data_mean=0.2, sigma_data=0.5, channels=(4, 8), attention_heads=1
    )
    part = (0.25 / (0.25 + SIGMAS**2))[:, None, None, None]
    np.testing.assert_allclose(denoise(denoiser, images), 0.2 + part * (images - 0.2), atol=1e-6)


def test_without_noise_the_image_stays_as_it_is(tiny_denoiser, images):
    nearly_none = np.full(6, 1e-4, np.float32)
    np.testing.assert_allclose(denoise(tiny_denoiser, images, nearly_none), images, atol=1e-3)


def test_label_and_noise_level_change_the_answer(tiny_denoiser, images):
    answer = denoise(tiny_denoiser, images)
    for other in (
        denoise(tiny_denoiser, images, labels=(LABELS + 1) % 4),
        denoise(tiny_denoiser, images, sigmas=SIGMAS * 1.5),
    ):
        assert (np.abs(other - answer).max(axis=(1, 2, 3)) > 1e-4).all()


def test_a_row_does_not_depend_on_the_others(tiny_denoiser, images):
    together = denoise(tiny_denoiser, images)
    for row in range(6):
        alone = denoise(tiny_denoiser, images[row : row + 1], SIGMAS[row : row + 1], LABELS[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_in_mixed_precision_weights_and_answers_are_float32(tiny_denoiser, images):
    denoiser = Denoiser(image_shape=(8, 8, 1), num_classes=3, dtype="mixed_bfloat16", **tiny_denoiser.settings)
    denoiser.set_weights(tiny_denoiser.get_weights())
    assert {variable.dtype for variable in denoiser.weights} == {"float32"}
    answer = denoise(denoiser, images)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, denoise(tiny_denoiser, images), atol=0.1)
    assert np.abs(answer - denoise(tiny_denoiser, images)).max() > 1e-5


def test_the_default_size_stays_below_three_megabytes():
    denoiser = Denoiser(image_shape=(28, 28, 1), num_classes=10, data_mean=0.0, sigma_data=0.5)
    assert 4 * denoiser.count_params() < 3e6


@pytest.mark.parametrize("side", [8, 28])
def test_the_answer_has_the_shape_of_the_images(tiny_denoiser, side):
    settings = {**tiny_denoiser.settings, "channels": (4, 8, 8)}
    denoiser = Denoiser(image_shape=(side, side, 1), num_classes=3, **settings)
    assert denoise(denoiser, np.zeros((6, side, side, 1), np.float32)).shape == (6, side, side, 1)
