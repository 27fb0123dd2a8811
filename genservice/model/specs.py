"""Shape, type and range of one row of a tensor."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import InvalidRequest, OutOfRange, PluginError

DTYPES = ("float32", "uint8", "int32", "int64", "float64", "bool", "string")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What one row of a tensor looks like; the row dimension is left out.

    Args:
        shape: Extent of each dimension; -1 where it varies from request to request.
        dtype: One of `float32`, `uint8`, `int32`, `int64`, `float64`, `bool`, `string`.
        minimum: Smallest value of an element; None where there is no bound.
        maximum: Greatest value of an element; None where there is no bound.
        description: What the elements mean.
        finite: Whether inputs with NaN or infinity are refused.
        default: Every element of the row that stands where a request gives none; None: it has to give one.

    Raises:
        PluginError: The type is not one of the above, only one of the bounds is given, or they are not in order; those
            of whole numbers may be equal.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""
    finite: bool = True
    default: float | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(extent) for extent in self.shape))
        if self.dtype not in DTYPES:
            raise PluginError(f"A TensorSpec's dtype is one of {', '.join(DTYPES)}; got {self.dtype!r}.")
        if (self.minimum is None) != (self.maximum is None):
            raise PluginError("A TensorSpec has both bounds or none.")
        whole = self.dtype.startswith(("int", "uint"))
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum + whole:
            raise PluginError(f"A TensorSpec's minimum, {self.minimum:g}, lies below its maximum, {self.maximum:g}.")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; a dimension that varies counts as 1, a string as 64."""
        itemsize = 64 if self.dtype == "string" else np.dtype(self.dtype).itemsize
        return prod(max(extent, 1) for extent in self.shape) * itemsize

    def default_row(self) -> NDArray[Any] | list[str]:
        """The row that stands where a request gives none; only where there is a default."""
        if self.dtype == "string":
            return [str(self.default)]
        return np.full((1, *self.shape), self.default, self.dtype)

    def validate(self, rows: NDArray[Any] | list[str] | list[bytes], *, field: str) -> None:
        """Checks rows that came with a request.

        Args:
            rows: `[rows, *shape]` in `dtype`, or a list of strings.
            field: Path of the request's field, for the error.

        Raises:
            InvalidRequest: The type or the shape is another, or there is NaN or infinity where `finite`.
            OutOfRange: An element lies outside `minimum` to `maximum`.
        """
        if self.dtype == "string":
            if not (isinstance(rows, list) and all(isinstance(row, str) for row in rows)):
                raise InvalidRequest(f"`{field}` takes strings.", field=field)
            return
        if isinstance(rows, list) or rows.dtype != np.dtype(self.dtype):
            kind = "image files" if isinstance(rows, list) and rows and isinstance(rows[0], bytes) else "strings"
            given = kind if isinstance(rows, list) else str(rows.dtype)
            raise InvalidRequest(f"`{field}` takes {self.dtype}, and got {given}.", field=field)
        fits = rows.ndim == len(self.shape) + 1 and all(
            extent in (-1, given) for extent, given in zip(self.shape, rows.shape[1:], strict=True)
        )
        if not fits:
            wanted = ", ".join(["rows", *("any" if extent == -1 else str(extent) for extent in self.shape)])
            raise InvalidRequest(f"`{field}` takes the shape [{wanted}], and got {list(rows.shape)}.", field=field)
        if self.minimum is not None and self.maximum is not None and rows.size:
            # Of NaN neither is true, and what is nearly always asked costs two looks at the elements.
            least, greatest = np.minimum.reduce(rows, axis=None), np.maximum.reduce(rows, axis=None)
            if self.minimum <= least and greatest <= self.maximum:
                return
        if rows.dtype.kind == "f" and self.finite and not np.isfinite(rows).all():
            raise InvalidRequest(f"`{field}` holds NaN or infinity, which the model refuses.", field=field)
        if self.minimum is not None and self.maximum is not None and rows.size:
            # Unlike min and max, these see the other elements where there is NaN and it is not refused.
            low, high = np.fmin.reduce(rows, axis=None), np.fmax.reduce(rows, axis=None)
            if low < self.minimum or high > self.maximum:
                given = f"{low:g} to {high:g}" if low < high else f"{low:g}"
                raise OutOfRange(
                    f"`{field}` takes values from {self.minimum:g} to {self.maximum:g}, and got {given}.", field=field
                )
