"""Samples as numbers from 0 to 255 and as image files, and image files as inputs."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import InvalidRequest
from genservice.model.specs import TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_FORMATS = {"image/png": "PNG", "image/webp": "WEBP"}
INPUT_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_MODES = {1: "L", 3: "RGB"}
_OPAQUE_MODES = ("1", "L", "P", "RGB", "YCbCr", "CMYK")
_PROBLEMS = (OSError, ValueError, SyntaxError, EOFError, MemoryError, OverflowError, struct.error, zlib.error)
"""What Pillow raises where a file is damaged."""


def is_image(event: TensorSpec) -> bool:
    """Whether rows of a spec can be given as image files."""
    bounded = event.dtype == "uint8" or (event.dtype == "float32" and event.minimum is not None)
    return bounded and len(event.shape) == 3 and event.shape[-1] in _MODES and min(event.shape) > 0


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


def decode_image(file: bytes, event: TensorSpec) -> NDArray[Any]:
    """Reads an image file as a row: nothing is decoded before the number of its pixels is known to be right.

    Args:
        file: PNG, JPEG or WebP, without an alpha channel. Grey becomes colour, and colour grey, as the event needs. A
            photograph whose EXIF data tell that it was turned is turned upright.
        event: An image, as `is_image` says.

    Returns:
        `event.shape`, in the event's type; bytes are scaled to its bounds in float32.

    Raises:
        InvalidRequest: It is no such file, or upright of another size, or has an alpha channel; the message says which.
    """
    from PIL import Image

    height, width, channels = event.shape
    try:
        _check_area(_webp_size(file), width, height)
        with Image.open(BytesIO(file), formats=list(INPUT_FORMATS.values())) as image:
            _check_area(image.size, width, height)
            transparent = " with transparency" if "transparency" in image.info else ""
            if image.mode not in _OPAQUE_MODES or transparent:
                raise InvalidRequest(
                    f"the image has the mode {image.mode}{transparent}; the model takes grey or colour of 8 bits "
                    "without an alpha channel."
                )
            if getattr(image, "n_frames", 1) > 1:
                raise InvalidRequest("the image is animated; the model takes one picture.")
            turned = upright(image.convert(_MODES[channels]))
            _check_size(turned.size, width, height)
            pixels = np.asarray(turned, np.uint8).reshape(event.shape)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise InvalidRequest(f"the image has too many pixels; the model takes {width} by {height}.") from bomb
    except _PROBLEMS as problem:
        raise InvalidRequest("the file is no PNG, JPEG or WebP image, or is damaged.") from problem
    if event.dtype == "uint8":
        return pixels
    assert event.minimum is not None
    assert event.maximum is not None
    return pixels.astype(np.float32) * np.float32((event.maximum - event.minimum) / 255) + np.float32(event.minimum)


def upright(image: "Image") -> "Image":
    """Turns an image as its EXIF orientation tells, in place.

    One that has none, or a broken one, stays as it is stored: what is wrong with metadata is nothing to the picture.

    Args:
        image: Its pixels have been read.

    Returns:
        The same image.
    """
    from PIL import ImageOps

    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _check_area(stored: tuple[int, int] | None, width: int, height: int) -> None:
    """Checks what the header tells. Which side is the width may be known only after all has been read."""
    if stored != (height, width):
        _check_size(stored, width, height)


def _check_size(size: tuple[int, int] | None, width: int, height: int) -> None:
    if size is not None and size != (width, height):
        raise InvalidRequest(f"the image has {size[0]} by {size[1]} pixels, and the model takes {width} by {height}.")


def _webp_size(file: bytes) -> tuple[int, int] | None:
    """Width and height in the header of a WebP file (RFC 9649, sections 2.5 to 2.7); None where it is none.

    Pillow knows the size only after libwebp has allocated the whole canvas.
    """
    if file[:4] != b"RIFF" or file[8:12] != b"WEBP" or len(file) < 30:
        return None
    match file[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", file, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", file, 21)
            return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(file[24:27], "little") + 1, int.from_bytes(file[27:30], "little") + 1
    return None
