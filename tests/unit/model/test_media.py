from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from genservice import TensorSpec
from genservice.errors import InvalidRequest
from genservice.model.media import IMAGE_FORMATS, encode_image, to_uint8

SIGNED = TensorSpec((1,), minimum=-1, maximum=1)


@pytest.mark.parametrize(("value", "byte"), [(-1, 0), (1, 255), (0, 128), (-0.99999, 0), (0.5, 191), (2, 255), (-2, 0)])
def test_samples_are_scaled_rounded_and_clipped_to_bytes(value, byte):
    scaled = to_uint8(np.array([value], np.float32), SIGNED)
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [byte]


def test_every_byte_survives_the_way_to_the_unit_interval_and_back():
    every = np.arange(256, dtype=np.uint8)
    unit = TensorSpec((1,), minimum=0, maximum=1)
    assert np.array_equal(to_uint8((every / 255).astype(np.float32), unit), every)


def test_bytes_are_left_alone():
    samples = np.array([0, 7, 255], np.uint8)
    assert to_uint8(samples, TensorSpec((3,), "uint8")) is samples


def test_samples_without_bounds_have_no_bytes():
    with pytest.raises(InvalidRequest, match="have no bounds") as refusal:
        to_uint8(np.zeros(3, np.float32), TensorSpec((3,)))
    assert refusal.value.field == "output"


@pytest.mark.parametrize("media_type", IMAGE_FORMATS)
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_an_image_is_encoded_without_loss(media_type, channels, mode):
    event = TensorSpec((5, 4, channels), "uint8")
    sample = np.random.default_rng(0).integers(0, 256, event.shape, np.uint8)
    image = Image.open(BytesIO(encode_image(media_type, sample, event)))
    assert image.get_format_mimetype() == media_type
    assert image.size == (4, 5)
    assert np.array_equal(np.asarray(image.convert(mode)).reshape(event.shape), sample)
