"""The rows of a batch as arrays, padded to a batch size: padding repeats the last row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Batch
from genservice.errors import PluginError
from genservice.model.base import Model
from genservice.model.noise import words
from genservice.model.options import static_names

Columns = Mapping[str, "np.dtype[Any] | None"]
"""Type of each per-row option that the model gets; None for strings."""

_COLUMN_DTYPES = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float32)}


def option_dtypes(model: Model) -> Columns:
    """Types of the options that a model gets, one value a row. Lists of strings are the engine's, and are left out.

    Raises:
        PluginError: An option is of a type that the model cannot get.
    """
    columns: dict[str, np.dtype[Any] | None] = {}
    statics = static_names(model.Options)
    for name, value in model.Options():
        if name in statics or isinstance(value, tuple):
            continue
        columns[name] = _COLUMN_DTYPES.get(type(value))
        if columns[name] is None and (model.traced or not isinstance(value, str)):
            raise PluginError(
                f"The option {name!r} of the family {model.family!r} has the default {value!r}: an option is a bool, "
                "an int or a float, or a string where it is static or the model sets `traced = False`."
            )
    return columns


def option_columns(batch: Batch, size: int, columns: Columns) -> dict[str, Any]:
    """The options of each row: arrays `[size]`, or lists where they are strings."""
    counts = [len(piece) for piece in batch]
    counts[-1] += size - sum(counts)
    gathered: dict[str, Any] = {}
    for name, dtype in columns.items():
        values = [getattr(piece.call.options, name) for piece in batch]
        if dtype is None:
            gathered[name] = [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
        else:
            gathered[name] = np.repeat(np.array(values, dtype), counts)
    return gathered


def input_columns(batch: Batch, size: int) -> dict[str, Any]:
    """The inputs of each row: arrays `[size, ...]`, or lists where they are strings."""
    gathered: dict[str, Any] = {}
    padding = size - sum(map(len, batch))
    for name in batch[0].call.inputs:
        parts: list[Any] = [piece.rows_of(name) for piece in batch]
        if isinstance(parts[0], list):
            gathered[name] = [row for part in parts for row in part] + [parts[-1][-1]] * padding
        elif len(parts) == 1 and not padding:
            gathered[name] = parts[0]
        else:
            parts.append(np.repeat(parts[-1][-1:], padding, axis=0))
            gathered[name] = np.concatenate(parts)
    return gathered


def addresses(batch: Batch, size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Seed and index of each row as words, uint32 `[size, 2]`."""
    seeds = np.zeros(size, np.uint64)
    indexes = np.zeros(size, np.uint64)
    start = 0
    for piece in batch:
        stop = start + len(piece)
        seeds[start:stop] = piece.call.seed
        first = np.uint64(piece.call.first_index + piece.start)
        indexes[start:stop] = np.arange(len(piece), dtype=np.uint64) + first
        start = stop
    return words(seeds), words(indexes)
