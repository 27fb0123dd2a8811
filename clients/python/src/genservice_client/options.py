"""Options of a call."""

from collections.abc import Mapping

import numpy as np

from genservice.v1 import types_pb2

OptionLike = bool | int | float | str | np.bool_ | np.integer | np.floating | list[str] | tuple[str, ...]
"""What an option can be set to: a scalar (numpy's count as Python's), or strings."""


def option_values(
    options: Mapping[str, OptionLike] | None, more: Mapping[str, OptionLike]
) -> dict[str, types_pb2.OptionValue]:
    """Makes the messages of a call's options.

    Args:
        options: Those of the argument `options`.
        more: Those given as keyword arguments.

    Returns:
        Messages by name.

    Raises:
        TypeError: An option is neither a scalar nor a list of strings, or is given twice.
        ValueError: An integer does not fit into 64 bits.
    """
    given = dict(options or {})
    twice = sorted(given.keys() & more.keys())
    if twice:
        raise TypeError(f"given both in `options` and as a keyword: {', '.join(twice)}")
    return {name: _option_value(name, value) for name, value in (given | dict(more)).items()}


def _option_value(name: str, value: OptionLike) -> types_pb2.OptionValue:
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
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return types_pb2.OptionValue(strings_value=types_pb2.StringRows(rows=value))
        case _:
            kind = f"a {type(value).__name__} of {value}" if isinstance(value, list | tuple) else type(value).__name__
            raise TypeError(f"option {name!r} is {kind}; options are bool, int, float, str, or a list of str")
