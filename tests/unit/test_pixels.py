"""The bytes that the server makes of samples, and those that the SDK makes of the same samples, are equal."""

import numpy as np
import pytest

from genservice import TensorSpec
from genservice.model.media import to_uint8
from genservice_client import Determinism, SampleChunk, SampleHeader
from genservice_client import TensorSpec as ClientSpec


def near_ties(minimum, maximum):
    """All float32 within four steps of a value that lies in the middle between two bytes, and beyond the bounds."""
    ties = (minimum + (np.arange(-1, 256) + 0.5) / 255 * (maximum - minimum)).astype(np.float32)
    steps = [ties]
    for direction in (-np.inf, np.inf):
        value = ties
        for _ in range(4):
            value = np.nextafter(value, np.float32(direction))
            steps.append(value)
    return np.stack(steps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("minimum", "maximum"), [(-1, 1), (0, 1), (0, 255), (-0.5, 0.5), (0.1, 0.7), (-3, 5), (-1e6, 1e-3), (1 / 3, 2 / 3)]
)
def test_the_sdk_makes_the_bytes_that_the_server_makes(minimum, maximum, dtype):
    samples = near_ties(minimum, maximum).astype(dtype)
    spec = ClientSpec(np.dtype(dtype), samples.shape, float(minimum), float(maximum), "")
    header = SampleHeader("models/x/versions/1", "h", 5, spec, Determinism.BITWISE, "cpu")
    (image,) = SampleChunk(np.arange(1), samples[None], header, "").images()
    served = to_uint8(samples, TensorSpec(samples.shape, dtype, minimum=minimum, maximum=maximum))
    np.testing.assert_array_equal(np.asarray(image), served)


def test_the_formula_is_that_of_the_proto():
    samples = near_ties(0.1, 0.7)
    scale = np.float32(255 / (0.7 - 0.1))
    expected = np.rint(np.multiply(np.subtract(samples, np.float32(0.1)), scale)).clip(0, 255)
    np.testing.assert_array_equal(to_uint8(samples, TensorSpec((1,), minimum=0.1, maximum=0.7)), expected)
