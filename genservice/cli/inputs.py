"""Files as rows that a model takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genservice.cli.failures import Failure

if TYPE_CHECKING:
    from genservice_client import TensorSpec

ARRAYS = (".npy", ".npz")
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
    with Image.open(file) as opened:
        picture = opened.convert(_MODES[channels])
    if picture.size != (width, height):
        if not decoding.resize:
            raise Failure(
                f"{file} has {picture.width} by {picture.height} pixels, and the model takes {width} by {height}: "
                "scale it, or give --resize."
            )
        picture = picture.resize((width, height))
    if decoding.invert:
        picture = ImageOps.invert(picture)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def _in_range(rows: NDArray[Any], event: "TensorSpec") -> NDArray[Any]:
    """Rows in the event's type; bytes are scaled to its bounds."""
    if event.dtype is None or rows.dtype == event.dtype:
        return rows
    if rows.dtype == np.uint8 and event.minimum is not None and event.maximum is not None:
        return (rows * ((event.maximum - event.minimum) / 255) + event.minimum).astype(event.dtype)
    return rows.astype(event.dtype)
