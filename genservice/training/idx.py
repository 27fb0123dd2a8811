"""The IDX format of the MNIST family of data sets: a magic number, the extents, then unsigned bytes; gzipped."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Reads a file.

    Args:
        path: The gzipped file.
        dimensions: How many it must have: 3 for images, 1 for labels.

    Returns:
        uint8, of the shape that the file's header names.

    Raises:
        DataError: The file is missing, damaged, or not what was expected; the message names it.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
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
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes(), mtime=0))
