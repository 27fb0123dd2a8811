"""Arrays on the wire."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genservice.v1 import types_pb2
from genservice_client.errors import ProtocolError

Array = npt.NDArray[Any]

# The wire is little endian whatever the machine is.
_DTYPES: dict[types_pb2.DataType.ValueType, np.dtype[Any]] = {
    types_pb2.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    types_pb2.DATA_TYPE_UINT8: np.dtype("u1"),
    types_pb2.DATA_TYPE_INT32: np.dtype("<i4"),
    types_pb2.DATA_TYPE_INT64: np.dtype("<i8"),
    types_pb2.DATA_TYPE_FLOAT64: np.dtype("<f8"),
    types_pb2.DATA_TYPE_BOOL: np.dtype("?"),
}
_DATA_TYPES = {dtype.newbyteorder("="): data_type for data_type, dtype in _DTYPES.items()}


def check_dtype(array: Array, name: str) -> None:
    """Holds that an array's type exists on the wire.

    Raises:
        TypeError: It does not; the message names the argument.
    """
    if array.dtype.newbyteorder("=") not in _DATA_TYPES:
        known = ", ".join(sorted(str(dtype) for dtype in _DATA_TYPES))
        raise TypeError(f"{name} has dtype {array.dtype}; the service takes {known}")


def tensor_from(array: Array) -> types_pb2.Tensor:
    """Makes the message of an array whose type `check_dtype` let pass."""
    data_type = _DATA_TYPES[array.dtype.newbyteorder("=")]
    data = np.ascontiguousarray(array, dtype=_DTYPES[data_type]).tobytes()
    return types_pb2.Tensor(data_type=data_type, shape=array.shape, data=data)


def array_from(tensor: types_pb2.Tensor) -> Array:
    """Makes the array of a message; read-only, for it shares the message's bytes.

    Raises:
        ProtocolError: Type, shape and bytes do not fit together.
    """
    dtype = _DTYPES.get(tensor.data_type)
    shape = tuple(tensor.shape)
    if dtype is None:
        raise ProtocolError(f"a tensor came with the unknown type {tensor.data_type}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(tensor.data):
        raise ProtocolError(f"a tensor came with {len(tensor.data)} bytes for {dtype} {list(shape)}")
    return np.frombuffer(tensor.data, dtype=dtype).reshape(shape)


def joined_rows(tensors: Sequence[types_pb2.Tensor], row_count: int) -> Array:
    """Joins the answers to the parts of one call.

    Args:
        tensors: One a part, `[rows, ...]`.
        row_count: Rows that the call asked about.

    Returns:
        A writable array `[row_count, ...]`.

    Raises:
        ProtocolError: The rows are not as many as were asked about, or the parts differ in shape.
    """
    try:
        joined = np.concatenate([array_from(tensor) for tensor in tensors])
    except ValueError as error:
        raise ProtocolError(f"the answers to the parts of one call do not fit together: {error}") from error
    if len(joined) != row_count:
        raise ProtocolError(f"{row_count} rows were asked about, and {len(joined)} came back")
    return joined


@dataclass(frozen=True)
class TensorSpec:
    """Shape, type and range of one row of an array."""

    dtype: np.dtype[Any] | None
    """Element type; None: strings."""
    shape: tuple[int, ...]
    """Extent of each dimension, the row dimension left out; -1 where it varies."""
    minimum: float | None
    """Smallest value of an element; None: not bounded."""
    maximum: float | None
    """Greatest value of an element; None: not bounded."""
    description: str
    """What the elements mean, for people."""
    optional: bool = False
    """Whether a request may leave it out."""

    @classmethod
    def from_message(cls, message: types_pb2.TensorSpec) -> "TensorSpec":
        """Makes the value of a message."""
        return cls(
            dtype=_DTYPES.get(message.data_type),
            shape=tuple(message.shape),
            minimum=message.minimum if message.HasField("minimum") else None,
            maximum=message.maximum if message.HasField("maximum") else None,
            description=message.description,
            optional=message.optional,
        )
