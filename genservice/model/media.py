"""Samples as numbers from 0 to 255, and as image files."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import InvalidRequest
from genservice.model.specs import TensorSpec

IMAGE_FORMATS = {"image/png": "PNG", "image/webp": "WEBP"}


def to_uint8(samples: NDArray[Any], event: TensorSpec) -> NDArray[np.uint8]:
    """Scales samples to bytes: (x - minimum) * (255 / (maximum - minimum)), rounded half to even and clipped.

    In float32 but for the factor's own division, as the proto says and the SDK repeats: the same bytes on both sides.

    Args:
        samples: Any shape, in the event's type.
        event: Has the bounds.

    Returns:
        uint8, in the samples' shape.

    Raises:
        InvalidRequest: The event has no bounds.
    """
    if samples.dtype == np.uint8:
        return samples
    if event.minimum is None or event.maximum is None:
        raise InvalidRequest("The model's samples have no bounds, so there is no uint8 form of them.", field="output")
    scale = np.float32(255 / (event.maximum - event.minimum))
    scaled: NDArray[np.float32] = (samples.astype(np.float32, copy=False) - np.float32(event.minimum)) * scale
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def encode_image(media_type: str, sample: NDArray[Any], event: TensorSpec) -> bytes:
    """Makes an image file, without loss.

    Args:
        media_type: A key of `IMAGE_FORMATS`.
        sample: `[height, width, channels]` with 1 or 3 channels.
        event: Has the bounds.

    Returns:
        The bytes of the file.
    """
    from PIL import Image

    pixels = to_uint8(sample, event)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    file = BytesIO()
    image.save(file, IMAGE_FORMATS[media_type], lossless=True)
    return file.getvalue()
