"""The layers keep magnitudes, whatever their weights."""

import numpy as np
import pytest
from keras import ops

from genservice_diffusion.layers import (
    Attention,
    MPConv2D,
    MPDense,
    ResidualBlock,
    Upsample,
    mp_silu,
    mp_sum,
    normalise,
)


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def magnitude(values):
    return float(np.sqrt(np.mean(np.square(ops.convert_to_numpy(values)))))


def test_normalise_gives_vectors_of_unit_magnitude():
    vectors = ops.convert_to_numpy(normalise(3 * normal(5, 7, 16), -1))
    np.testing.assert_allclose(np.square(vectors).mean(axis=-1), 1, rtol=1e-3)


def test_silu_and_sums_keep_the_magnitude_of_normal_inputs():
    assert magnitude(mp_silu(normal(100_000))) == pytest.approx(1, abs=0.02)
    one, other = np.random.default_rng(2).normal(size=(2, 100_000))
    assert magnitude(mp_sum(one, other, 0.3)) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (MPDense(64), (16, 5, 5, 32)),
        (MPConv2D(64, 2, strides=2), (16, 8, 8, 16)),
        (Upsample(64), (16, 8, 8, 32)),
        (Attention(32, 2), (16, 7, 7, 32)),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, tuple) else "",
)
def test_a_layer_keeps_the_magnitude(layer, shape):
    assert magnitude(layer(normal(*shape))) == pytest.approx(1, abs=0.2)


def test_a_kernel_counts_by_its_direction_alone():
    layer = MPConv2D(8, 3)
    inputs = normal(2, 6, 6, 4)
    before = layer(inputs)
    layer.kernel.assign(layer.kernel * 5)
    np.testing.assert_allclose(layer(inputs), before, atol=1e-3)


def test_upsampling_makes_a_square_of_each_pixel():
    layer = Upsample(1)
    inputs = np.zeros((1, 2, 3, 1), np.float32)
    inputs[0, 1, 2] = 1
    enlarged = ops.convert_to_numpy(layer(inputs))[0, :, :, 0]
    assert enlarged.shape == (4, 6)
    assert (np.abs(enlarged[2:, 4:]) > 0.9).all()
    assert np.count_nonzero(enlarged) == 4


def test_a_block_knows_the_embedding_by_its_gain_alone():
    block = ResidualBlock(8)
    inputs, embedded = normal(3, 6, 6, 8), normal(3, 16)
    plain = block(inputs, embedded)
    np.testing.assert_array_equal(block(inputs, -embedded), plain)
    block._gain.assign([1.0])
    assert magnitude(block(inputs, embedded) - block(inputs, -embedded)) > 0.01
