"""The IDX format of the MNIST family of data sets: a magic number, the extents, then unsigned bytes.

A file whose name ends in `.gz` is gzipped.
"""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError

SIDE = 28
"""Height and width of the pictures of the MNIST family, in pixels."""

_UNSIGNED_BYTE = 0x08


def read_pictures(images: Path, labels: Path, label_count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Reads the pictures of a file and their labels of another.

    Args:
        images: IDX file of bytes `[rows, 28, 28]`.
        labels: IDX file of bytes `[rows]`.
        label_count: Labels go from 0 to one less than this.

    Returns:
        Pictures, float32 `[rows, 28, 28, 1]` in [-1, 1]; labels, int64 `[rows]`.

    Raises:
        DataError: One is missing or damaged, or the two do not fit together; the message names it.
    """
    pictures = read_idx(images, 3)
    numbers = read_idx(labels, 1).astype(np.int64)
    if pictures.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{images} has pictures of {pictures.shape[1:]}, not of {SIDE} by {SIDE}.")
    if len(pictures) != len(numbers) or not len(pictures):
        raise DataError(f"{labels} has {len(numbers)} labels for {len(pictures)} pictures.")
    if numbers.max() >= label_count:
        raise DataError(f"{labels} has the label {numbers.max()}; they go up to {label_count - 1}.")
    return pictures[..., None].astype(np.float32) / np.float32(127.5) - 1, numbers


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Reads a file.

    Args:
        path: The file.
        dimensions: How many it must have: 3 for images, 1 for labels.

    Returns:
        uint8, of the shape that the file's header names.

    Raises:
        DataError: The file is missing, damaged, or not what was expected; the message names it.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as fault:
        raise DataError(f"{path} cannot be read: {fault}. Remove it and try again.") from fault
    start = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)) or len(content) < start:
        raise DataError(f"{path} is not an IDX file of bytes in {dimensions} dimensions. Remove it and try again.")
    shape = tuple(int(extent) for extent in np.frombuffer(content, ">u4", dimensions, 4))
    if len(content) - start != prod(shape):
        raise DataError(
            f"{path} holds {len(content) - start} bytes, and its header announces {prod(shape)}. "
            "Remove it and try again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path: Path, values: NDArray[Any]) -> None:
    """Writes a file.

    Args:
        path: Where to.
        values: uint8.
    """
    header = bytes((0, 0, _UNSIGNED_BYTE, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
