"""Inputs with a row dimension."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from genservice.v1 import types_pb2
from genservice_client.image_files import ImageLike, image_files, is_image, media_type_of
from genservice_client.tensors import Array, check_dtype, tensor_from

RowsLike: TypeAlias = npt.ArrayLike | Sequence[str] | str | Sequence[ImageLike] | ImageLike
"""An array `[rows, ...]`; strings or image files, one a row; or one string or image file, which is one row.

An array is sent in its own type. Lists of Python's numbers have none: with a float among them they are sent as float32,
and whole numbers alone as int64.
"""


@dataclass(frozen=True)
class RowValues:
    """Numbers, strings or image files; the first dimension counts rows."""

    values: Array | tuple[str, ...] | tuple[bytes, ...]
    """Numbers `[rows, ...]`, or strings or image files `[rows]`."""

    @classmethod
    def of(cls, values: RowsLike, name: str) -> "RowValues":
        """Takes an argument.

        Args:
            values: As `RowsLike` says.
            name: The argument, for messages.

        Raises:
            OSError: An image file cannot be read.
            TypeError: The type does not exist on the wire.
            ValueError: There is no row, or no row dimension; or a file is no image.
        """
        if isinstance(values, str):
            return cls((values,))
        if is_image(values):
            return cls(image_files([values], name))
        if isinstance(values, Sequence) and values:
            if all(isinstance(value, str) for value in values):
                return cls(tuple(map(str, values)))
            if any(map(is_image, values)):
                return cls(image_files(values, name))
        array = _array(values)
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"{name} has shape {array.shape}; it needs a first dimension that counts one row or more")
        if array.dtype.kind == "U":
            return cls(tuple(map(str, array)))
        check_dtype(array, name)
        return cls(array)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_numbers(self) -> bool:
        """Whether they are numbers."""
        return not isinstance(self.values, tuple)

    @property
    def is_images(self) -> bool:
        """Whether they are image files."""
        return isinstance(self.values, tuple) and isinstance(self.values[0], bytes)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on the wire; of the longest, where they differ."""
        if isinstance(self.values, tuple):
            return max(len(value.encode() if isinstance(value, str) else value) for value in self.values) + 4
        return max(1, self.values.nbytes // len(self.values))

    def rows(self, start: int, end: int) -> "RowValues":
        """Gives the rows of [start, end); numbers are not copied."""
        return RowValues(self.values[start:end])

    def repeated(self, row_count: int) -> "RowValues":
        """Gives one row as many; numbers are not copied."""
        if isinstance(self.values, tuple):
            return RowValues(self.values * row_count)
        return RowValues(np.broadcast_to(self.values, (row_count, *self.values.shape[1:])))

    def parts(self, *, max_rows: int, max_bytes: int) -> Iterator["RowValues"]:
        """Splits the rows, in order, into parts within both limits; a row too large for them goes alone."""
        for (part,) in Together((self,)).parts(max_rows=max_rows, max_bytes=max_bytes):
            yield part

    def same_type(self, start: int, end: int) -> int:
        """Gives one past the last row, `end` at most, up to which rows can be in one message with the row `start`."""
        first = self.values[start]
        if isinstance(first, bytes):
            for place in range(start + 1, end):
                if self._media_type(place) != self._media_type(start):
                    return place
        return end

    def tensor(self) -> types_pb2.Tensor:
        """Makes the message of numbers.

        Raises:
            TypeError: They are strings or image files.
        """
        if isinstance(self.values, tuple):
            raise TypeError(f"an array is needed here, and {self._form()} were given")
        return tensor_from(self.values)

    def strings(self) -> types_pb2.StringRows:
        """Makes the message of strings.

        Raises:
            TypeError: They are numbers or image files.
        """
        if self.is_numbers or self.is_images:
            raise TypeError(f"strings are needed here, and {self._form()} were given")
        return types_pb2.StringRows(rows=[value for value in self.values if isinstance(value, str)])

    def message(self) -> types_pb2.Condition:
        """Makes the message of the rows.

        Raises:
            ValueError: They are image files of several types.
        """
        if not isinstance(self.values, tuple):
            return types_pb2.Condition(tensor=tensor_from(self.values))
        files = [value for value in self.values if isinstance(value, bytes)]
        if not files:
            return types_pb2.Condition(strings=self.strings())
        place = self.same_type(0, len(self))
        if place < len(self):
            kinds = f"{self._media_type(0)} and {self._media_type(place)}"
            raise ValueError(f"image files of one request have one type; those given are {kinds}")
        return types_pb2.Condition(encoded=types_pb2.EncodedRows(media_type=self._media_type(0), rows=files))

    def _media_type(self, place: int) -> str:
        file = self.values[place]
        return media_type_of(file) if isinstance(file, bytes) else ""

    def _form(self) -> str:
        if self.is_images:
            return "image files"
        return "numbers" if self.is_numbers else "strings"


@dataclass(frozen=True)
class Together:
    """Values whose rows belong together, such as both halves of pairs."""

    rows: tuple[RowValues, ...]
    """All of one number of rows."""

    def __len__(self) -> int:
        return len(self.rows[0])

    def parts(self, *, max_rows: int, max_bytes: int) -> Iterator[tuple[RowValues, ...]]:
        """Splits all of them at the same places, as `RowValues.parts` does; image files of one type go together."""
        row_count = len(self)
        step = max(1, min(max_rows, max_bytes // sum(values.row_bytes for values in self.rows)))
        start = 0
        while start < row_count:
            end = min(start + step, row_count)
            for values in self.rows:
                end = values.same_type(start, end)
            yield tuple(values.rows(start, end) for values in self.rows)
            start = end


class Conditions:
    """The other inputs of a draw: each one row for all samples, or a row for each sample.

    Args:
        values: Arrays, strings or image files by name.
        sample_count: Samples of the draw.

    Raises:
        TypeError: A condition's type does not exist on the wire.
        ValueError: A condition has neither one row nor `sample_count`, or has image files of several types.
    """

    def __init__(self, values: Mapping[str, RowsLike], sample_count: int) -> None:
        self._conditions = {name: RowValues.of(value, f"condition {name!r}") for name, value in values.items()}
        for name, condition in self._conditions.items():
            if len(condition) not in (1, sample_count):
                each = f", or one for each of the {sample_count} samples" if sample_count > 1 else ""
                raise ValueError(f"condition {name!r} has {len(condition)} rows; give one for all{each}")
            if condition.same_type(0, len(condition)) < len(condition):
                raise ValueError(f"condition {name!r} has image files of several types; give those of one")

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


def _array(values: object) -> Array:
    array = np.asarray(values)
    first = values
    while isinstance(first, list | tuple) and first:
        first = first[0]
    # Floats of NumPy are Python's floats, too, and have chosen their type.
    untyped = isinstance(first, int | float) and not isinstance(first, np.generic)
    return array.astype(np.float32) if untyped and array.dtype == np.float64 else array
