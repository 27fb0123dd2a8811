"""Options of a call."""

from collections.abc import Mapping

import numpy as np

from genservice.v1 import types_pb2

OptionScalar = bool | int | float | str | np.bool_ | np.integer | np.floating
"""What an option can be set to. Numpy's scalars count as Python's."""


def option_values(
    options: Mapping[str, OptionScalar] | None, more: Mapping[str, OptionScalar]
) -> dict[str, types_pb2.OptionValue]:
    """Makes the messages of a call's options.

    Args:
        options: Those of the argument `options`.
        more: Those given as keyword arguments.

    Returns:
        Messages by name.

    Raises:
        TypeError: An option is no scalar, or is given twice.
        ValueError: An integer does not fit into 64 bits.
    """
    given = dict(options or {})
    twice = sorted(given.keys() & more.keys())
    if twice:
        raise TypeError(f"given both in `options` and as a keyword: {', '.join(twice)}")
    return {name: _option_value(name, value) for name, value in (given | dict(more)).items()}


def _option_value(name: str, value: OptionScalar) -> types_pb2.OptionValue:
    match value:
        case bool() | np.bool_():  # before int, for a bool is one
            return types_pb2.OptionValue(bool_value=bool(value))
        case int() | np.integer():
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"option {name!r} is {value}, which does not fit into a signed 64-bit integer")
            return types_pb2.OptionValue(int64_value=int(value))
        case float() | np.floating():
            return types_pb2.OptionValue(double_value=float(value))
        case str():
            return types_pb2.OptionValue(string_value=value)
        case _:
            raise TypeError(f"option {name!r} is of type {type(value).__name__}; options are bool, int, float or str")
