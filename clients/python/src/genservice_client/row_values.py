"""Inputs with a row dimension."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from genservice.v1 import types_pb2
from genservice_client.tensors import Array, check_dtype, tensor_from

RowsLike: TypeAlias = npt.ArrayLike | Sequence[str] | str
"""An array `[rows, ...]`, strings (one a row), or one string (one row)."""


@dataclass(frozen=True)
class RowValues:
    """Numbers or strings, the first dimension of which counts rows."""

    values: Array | tuple[str, ...]
    """Numbers `[rows, ...]`, or strings `[rows]`."""

    @classmethod
    def of(cls, values: RowsLike, name: str) -> "RowValues":
        """Takes an argument.

        Args:
            values: An array `[rows, ...]`, strings (one a row), or one string (one row).
            name: The argument, for messages.

        Raises:
            TypeError: The type does not exist on the wire.
            ValueError: There is no row, or no row dimension.
        """
        if isinstance(values, str):
            return cls((values,))
        if isinstance(values, Sequence) and values and all(isinstance(value, str) for value in values):
            return cls(tuple(map(str, values)))
        array = np.asarray(values)
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"{name} has shape {array.shape}; it needs a first dimension that counts one row or more")
        if array.dtype.kind == "U":
            return cls(tuple(map(str, array)))
        check_dtype(array, name)
        return cls(array)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on the wire; of the longest, where rows are strings."""
        if isinstance(self.values, tuple):
            return max(len(value.encode()) for value in self.values) + 4
        return max(1, self.values.nbytes // len(self.values))

    def rows(self, start: int, end: int) -> "RowValues":
        """Gives the rows of [start, end); numbers are not copied."""
        return RowValues(self.values[start:end])

    def parts(self, *, max_rows: int, max_bytes: int) -> Iterator["RowValues"]:
        """Splits the rows, in order, into parts within both limits; a row too large for them goes alone."""
        step = max(1, min(max_rows, max_bytes // self.row_bytes))
        for start in range(0, len(self), step):
            yield self.rows(start, start + step)

    def tensor(self) -> types_pb2.Tensor:
        """Makes the message of numbers.

        Raises:
            TypeError: They are strings.
        """
        if isinstance(self.values, tuple):
            raise TypeError("an array is needed here, and strings were given")
        return tensor_from(self.values)

    def message(self) -> types_pb2.Condition:
        """Makes the message of numbers or strings."""
        if isinstance(self.values, tuple):
            return types_pb2.Condition(strings=types_pb2.StringRows(rows=self.values))
        return types_pb2.Condition(tensor=tensor_from(self.values))


class Conditions:
    """The other inputs of a draw: each one row for all samples, or a row for each sample.

    Args:
        values: Arrays or strings by name.
        sample_count: Samples of the draw.

    Raises:
        TypeError: A condition's type does not exist on the wire.
        ValueError: A condition has neither one row nor `sample_count`.
    """

    def __init__(self, values: Mapping[str, RowsLike], sample_count: int) -> None:
        self._conditions = {name: RowValues.of(value, f"condition {name!r}") for name, value in values.items()}
        for name, condition in self._conditions.items():
            if len(condition) not in (1, sample_count):
                raise ValueError(
                    f"condition {name!r} has {len(condition)} rows; give one for all, or one for each of the "
                    f"{sample_count} samples"
                )

    @property
    def row_bytes(self) -> int:
        """Bytes that one more sample adds to a request."""
        return sum(condition.row_bytes for condition in self._conditions.values() if len(condition) > 1)

    def messages(self, start: int, end: int) -> dict[str, types_pb2.Condition]:
        """Makes the messages for the samples from place `start` of the draw to place `end`."""
        return {
            name: (condition if len(condition) == 1 else condition.rows(start, end)).message()
            for name, condition in self._conditions.items()
        }
