"""Image files as inputs."""

import io
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, Union

if TYPE_CHECKING:
    from PIL.Image import Image

ImageLike: TypeAlias = Union[bytes, PathLike[str], "Image"]
"""A PNG, JPEG or WebP file: its bytes, or where it is; or a picture of Pillow's, which is sent as PNG, without loss.

A file is turned upright as its EXIF data tell. Of a picture the pixels are sent and no metadata: what `Image.open`
gives of a turned photograph needs `ImageOps.exif_transpose` first.
"""


def media_type_of(file: bytes) -> str:
    """Tells the media type of an image file from its first bytes; empty where it is neither PNG, JPEG nor WebP."""
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if file.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        return "image/webp"
    return ""


def is_image(value: object) -> TypeGuard[ImageLike]:
    """Says whether a value is an image file or a picture."""
    return isinstance(value, bytes | PathLike) or _is_picture(value)


def image_files(values: Sequence[object], name: str) -> tuple[bytes, ...]:
    """Reads the image files of an argument.

    Args:
        values: Image files or pictures.
        name: The argument, for messages.

    Raises:
        OSError: A file cannot be read.
        ValueError: One is neither PNG, JPEG nor WebP.
    """
    return tuple(_file(value, f"{name}[{place}]") for place, value in enumerate(values))


def _file(value: object, name: str) -> bytes:
    if _is_picture(value):
        return _png(value, name)
    if isinstance(value, bytes):
        file = value
    elif isinstance(value, PathLike):
        file, name = Path(value).read_bytes(), str(value)
    else:
        raise ValueError(f"{name} is a {type(value).__name__} among image files")
    if not media_type_of(file):
        raise ValueError(f"{name} is no PNG, JPEG or WebP file; it begins with {file[:8]!r}")
    return file


def _is_picture(value: object) -> bool:
    # Where nobody has imported Pillow there are no pictures of it.
    pillow: Any = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def _png(picture: Any, name: str) -> bytes:
    file = io.BytesIO()
    try:
        picture.save(file, "PNG")
    except OSError as error:
        raise ValueError(f"{name} cannot be sent as PNG: {error}; convert it to 'L' or 'RGB'") from error
    return file.getvalue()
