"""Samples as pictures."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genservice_client.extras import require
from genservice_client.tensors import Array, TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image


def images_from_files(files: Sequence[bytes]) -> "list[Image]":
    """Decodes files such as PNG, with Pillow."""
    pillow = require("PIL.Image", extra="images")
    images = [pillow.open(io.BytesIO(file)) for file in files]
    for image in images:
        image.load()
    return images


def images_from_array(array: Array, spec: TensorSpec) -> "list[Image]":
    """Makes pictures of numbers.

    Args:
        array: `[rows, height, width]`, or `[rows, height, width, channels]` of 1 (grey), 3 (RGB) or 4 (RGBA) channels.
            uint8 is taken as it is; else `minimum` becomes 0 and `maximum` 255.
        spec: The range of an element.

    Raises:
        ValueError: The shape is no picture's, or the range is not known.
    """
    pillow = require("PIL.Image", extra="images")
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3, 4))):
        raise ValueError(f"samples of shape {array.shape[1:]} are no pictures")
    pixels = array if array.dtype == np.uint8 else _scaled(array, spec)
    if pixels.ndim == 4 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return [pillow.fromarray(row) for row in pixels]


def _scaled(array: Array, spec: TensorSpec) -> Array:
    if spec.minimum is None or spec.maximum is None:
        raise ValueError("the model does not say in which range its samples lie, so they cannot become pictures")
    # As the server does for output="uint8", to the bit: in float32, half to even, then clipped.
    scale = np.float32(255 / (spec.maximum - spec.minimum))
    scaled: NDArray[np.float32] = (array.astype(np.float32, copy=False) - np.float32(spec.minimum)) * scale
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
