"""The network against the JavaScript that its weights come from, and how pictures are made ready for it."""

import keras
import numpy as np
import pytest

from genservice_faces.network import MEAN_RGB, embed_faces, prepare

# Of face-api.js 1.7.15 with its CPU backend, for the picture of `pattern`: the first numbers and the length.
FACE_API = (-0.0706, 0.07774, 0.08452, -0.04539, -0.05874, -0.05079, -0.10004, -0.02466, 0.10281, -0.05143)
FACE_API_LENGTH = 1.32358


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def pattern():
    """A picture that fits the network, [1, 150, 150, 3]."""
    row, column, channel = np.meshgrid(np.arange(150), np.arange(150), np.arange(3), indexing="ij")
    return ((row * (channel + 1) + 2 * column) % 256).astype(np.float32)[None] / np.float32(127.5) - 1


def test_the_embedding_is_that_of_face_api(network, pattern):
    (embedding,) = numbers(network(prepare(pattern, (0, 0, 150)), training=False))
    np.testing.assert_allclose(embedding[: len(FACE_API)], FACE_API, atol=1e-4)
    assert np.linalg.norm(embedding) == pytest.approx(FACE_API_LENGTH, abs=1e-4)


def test_a_picture_is_scaled_to_pixels_less_their_mean(pattern):
    prepared = numbers(prepare(pattern, (0, 0, 150)))
    np.testing.assert_allclose(prepared, ((pattern + 1) * 127.5 - MEAN_RGB) / 255, atol=1e-6)


def test_a_window_beyond_the_picture_repeats_its_outermost_pixels():
    column = np.linspace(-1, 1, 50, dtype=np.float32)
    picture = np.broadcast_to(column[None, None, :, None], (1, 100, 50, 1))
    pixels = numbers(prepare(picture, (-25, -50, 150)))[0] * 255 + MEAN_RGB
    np.testing.assert_allclose(pixels[:, :50], 0, atol=1e-3)
    np.testing.assert_allclose(pixels[:, 100:], 255, atol=1e-3)
    np.testing.assert_allclose(pixels[0, 50:100, 0], (column + 1) * 127.5, atol=1e-3)


def test_a_great_picture_is_averaged_and_not_picked_from():
    picture = np.where(np.arange(600) % 2, 1, -1).astype(np.float32)
    picture = np.broadcast_to(picture[None, :, None, None], (1, 600, 600, 1))
    pixels = numbers(prepare(picture, (0, 0, 600)))[0] * 255 + MEAN_RGB
    np.testing.assert_allclose(pixels[2:-2], 127.5, atol=1)


def test_grey_counts_as_colour_of_three_equal_channels(pattern):
    grey = pattern[..., :1]
    np.testing.assert_array_equal(prepare(grey, (0, 0, 150)), prepare(np.repeat(grey, 3, axis=3), (0, 0, 150)))


def test_a_picture_and_its_mirror_image_have_one_embedding(network, pattern):
    embedding, mirrored = (numbers(embed_faces(network, rows, (5, 3, 120))) for rows in (pattern, pattern[:, :, ::-1]))
    # The window lies as far from the left as from the right only where it is centred: 3 and 27.
    assert np.abs(embedding - mirrored).max() > 1e-3
    embedding, mirrored = (numbers(embed_faces(network, rows, (5, 15, 120))) for rows in (pattern, pattern[:, :, ::-1]))
    np.testing.assert_allclose(embedding, mirrored, atol=1e-5)
