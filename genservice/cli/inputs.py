"""Files as rows that a model takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genservice.cli.failures import Failure
from genservice.model.media import upright

if TYPE_CHECKING:
    from genservice_client import TensorSpec, VersionInfo

    Rows = NDArray[Any] | list[bytes]

ARRAYS = (".npy", ".npz")
IMAGES = "images"
"""Feature of models that take image files."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How picture files become rows.

    Args:
        resize: Whether a picture of another size is scaled to the event's.
        invert: Whether light becomes dark.
    """

    resize: bool = False
    invert: bool = False


def read_inputs(files: Sequence[Path], version: "VersionInfo", decoding: Decoding) -> "tuple[list[str], Rows]":
    """Reads files as a version takes them: as they are where they are image files that it can decode.

    Args:
        files: As for `read_rows`.
        version: What takes them.
        decoding: How pictures become rows; those that are to be changed are decoded here.

    Returns:
        What each row is, for people, and the rows `[rows, *event.shape]`, or image files.

    Raises:
        Failure: As `read_rows`, or the version has no event.
    """
    if version.event is None:
        raise Failure(f"{version.name} takes no rows of an event: call its signatures with `genservice predict`.")
    if IMAGES in version.features and decoding == Decoding():
        images = [_image_file(file, version.event) for file in files]
        if all(images):
            return list(map(str, files)), images
    return read_rows(files, version.event, decoding)


def read_rows(files: Sequence[Path], event: "TensorSpec", decoding: Decoding) -> tuple[list[str], NDArray[Any]]:
    """Reads files.

    Args:
        files: Pictures, `.npy`, or `.npz` with `samples` or a single array.
        event: What the model takes.
        decoding: How pictures become rows.

    Returns:
        What each row is, for people, and the rows `[rows, *event.shape]`.

    Raises:
        Failure: A file is not as the model takes it; the message names the file, and says what would be right.
    """
    names: list[str] = []
    parts: list[NDArray[Any]] = []
    for file in files:
        try:
            if file.suffix in ARRAYS:
                rows = _read_arrays(file)
                names += [f"{file}[{place}]" for place in range(len(rows))]
            else:
                rows = _read_picture(file, event, decoding)[None]
                names.append(str(file))
        except (OSError, ValueError) as fault:
            raise Failure(f"{file} cannot be read: {fault}.") from fault
        if rows.shape[1:] != event.shape:
            raise Failure(
                f"{file} has rows of the shape {list(rows.shape[1:])}, and the model takes {list(event.shape)}."
            )
        parts.append(_in_range(rows, event))
    return names, np.concatenate(parts)


def write_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an .npz; folders on the way are made.

    Args:
        file: Where to.
        arrays: What NumPy makes arrays of, by name.

    Raises:
        OSError: It cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # As a file that is open, for NumPy adds a suffix to names.
    with file.open("wb") as opened:
        content: Any = {name: np.asarray(array) for name, array in arrays.items()}
        np.savez_compressed(opened, **content)


def _read_arrays(file: Path) -> NDArray[Any]:
    content = np.load(file)
    if isinstance(content, np.ndarray):
        return content
    with content:
        if "samples" not in content and len(content.files) != 1:
            raise ValueError(f"it has the arrays {', '.join(content.files)}, and none of the name 'samples'")
        rows: NDArray[Any] = content["samples" if "samples" in content else content.files[0]]
    return rows


def _read_picture(file: Path, event: "TensorSpec", decoding: Decoding) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    if len(event.shape) != 3 or event.shape[-1] not in _MODES:
        raise Failure(
            f"The model takes no pictures but rows of the shape {list(event.shape)}: give .npy or .npz files."
        )
    height, width, channels = event.shape
    try:
        with Image.open(file) as opened:
            picture = upright(opened.convert(_MODES[channels]))
    except Image.DecompressionBombError as bomb:
        raise ValueError(str(bomb)) from bomb
    if not decoding.resize:
        _check_size(file, picture.size, event)
    elif picture.size != (width, height):
        picture = picture.resize((width, height))
    if decoding.invert:
        picture = ImageOps.invert(picture)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def _image_file(file: Path, event: "TensorSpec") -> bytes:
    """An image file of the event's size as it is; empty where it is of a type that only this side can decode."""
    from PIL import Image

    from genservice_client.image_files import media_type_of

    try:
        content = b"" if file.suffix in ARRAYS else file.read_bytes()
        if not media_type_of(content):
            return b""
        with Image.open(file) as opened:
            # The server would tell of a damaged file by its row.
            opened.load()
            _check_size(file, upright(opened).size, event)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
        raise Failure(f"{file} cannot be read: {fault}.") from fault
    return content


def _check_size(file: Path, size: tuple[int, int], event: "TensorSpec") -> None:
    height, width, _ = event.shape
    if size != (width, height):
        raise Failure(
            f"{file} has {size[0]} by {size[1]} pixels, and the model takes {width} by {height}: scale it, or give "
            "--resize."
        )


def _in_range(rows: NDArray[Any], event: "TensorSpec") -> NDArray[Any]:
    """Rows in the event's type; bytes are scaled to its bounds."""
    if event.dtype is None or rows.dtype == event.dtype:
        return rows
    if rows.dtype == np.uint8 and event.minimum is not None and event.maximum is not None:
        return (rows * ((event.maximum - event.minimum) / 255) + event.minimum).astype(event.dtype)
    return rows.astype(event.dtype)
