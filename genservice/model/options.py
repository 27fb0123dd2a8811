"""Options of a request: scalars and lists of strings, declared as a pydantic model and checked before queueing."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from genservice.errors import InvalidRequest, OutOfRange, PluginError, suggestion

OptionScalar = bool | int | float | str | tuple[str, ...]

ANY_LABEL = -1
"""The label of a sample whose label is drawn too."""

_OUT_OF_RANGE = "out_of_range"
_MOST_FLOAT32 = 3.4028234663852886e38
_RANGE_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", _OUT_OF_RANGE}


class Static:
    """Marks an option as static: only rows with equal values share a batch, and the model gets a Python value.

    A static option is a bool or a Literal, so that each of its values is traced before the model is ready:
    `mode: Annotated[Literal["fast", "fine"], Static()] = "fast"`.
    """


class Options(BaseModel):
    """Base of a model's options; each field has a default, a description and, for numbers, bounds."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _label_number(value: object, info: ValidationInfo) -> object:
    labels: Sequence[str] = (info.context or {}).get("labels", ())
    if isinstance(value, str):
        if value not in labels:
            raise ValueError(f"{value!r} is not a label of this model.{suggestion(value, labels)}")
        return list(labels).index(value)
    if isinstance(value, int) and not isinstance(value, bool) and not ANY_LABEL <= value < len(labels):
        raise PydanticCustomError(
            _OUT_OF_RANGE,
            "{value} is not a label of this model: they go from 0 to {last}.",
            {"value": value, "last": len(labels) - 1},
        )
    return value


Label = Annotated[
    int,
    BeforeValidator(_label_number),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": ANY_LABEL}, {"type": "string"}]}),
]
"""A label, given by number or by name; the model gets the number. `ANY_LABEL`, -1: drawn for each sample."""


def parse_options(options: type[Options], values: Mapping[str, OptionScalar], labels: Sequence[str]) -> Options:
    """Checks the options of a request.

    Args:
        options: What the model declares.
        values: Scalars by name.
        labels: Names of the model's classes, for options of type `Label`.

    Returns:
        The options with their defaults.

    Raises:
        InvalidRequest: An option is not known, or has the wrong type.
        OutOfRange: An option lies outside its range.
    """
    if not values:
        return _defaults(options)
    for name in values:
        if name not in options.model_fields:
            raise InvalidRequest(
                f"The model has no option {name!r}.{suggestion(name, options.model_fields)}", field=f"options.{name}"
            )
    for name, value in values.items():
        if isinstance(value, float) and isfinite(value) and abs(value) > _MOST_FLOAT32:
            raise OutOfRange(
                f"`options.{name}` is at most {_MOST_FLOAT32:.3g}; got {value:g}.", field=f"options.{name}"
            )
    try:
        return options.model_validate(dict(values), context={"labels": labels})
    except pydantic.ValidationError as invalid:
        first = invalid.errors()[0]
        path = ".".join(["options", *(str(part) for part in first["loc"])])
        message = str(first["msg"]).removeprefix("Value error, ")
        kind = OutOfRange if first["type"] in _RANGE_ERRORS else InvalidRequest
        raise kind(f"`{path}`: {message}", field=path) from None


@lru_cache(maxsize=1024)
def _defaults(options: type[Options]) -> Options:
    return options()


@lru_cache(maxsize=1024)
def static_names(options: type[Options]) -> tuple[str, ...]:
    """Names of the static options, in the order of their declaration."""
    return tuple(
        name
        for name, field in options.model_fields.items()
        if any(isinstance(mark, Static) or mark is Static for mark in field.metadata)
    )


def static_values(options: type[Options], name: str) -> tuple[OptionScalar, ...]:
    """All values of a static option.

    Raises:
        PluginError: The option is neither a bool nor a Literal.
    """
    annotation: Any = options.model_fields[name].annotation
    if annotation is bool:
        return (False, True)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    raise PluginError(f"The static option {name!r} must be a bool or a Literal, so that all its values are warmed up.")
