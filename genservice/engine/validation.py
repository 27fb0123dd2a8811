"""Checks of a request against what a model declares, before anything is queued."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genservice.engine.call import Output, Rows
from genservice.engine.catalog import Version
from genservice.engine.verbs import PREVIEW, TEXT_DELTAS, VERBS, features_of, input_specs, verb_of
from genservice.errors import InvalidRequest, OutOfRange, VerbNotSupported, suggestion
from genservice.model.base import Model
from genservice.model.media import INPUT_FORMATS, is_image
from genservice.model.options import Options
from genservice.model.specs import TensorSpec

MOST_INDEX = 2**63 - 1


def check_verb(version: Version, verb: str) -> None:
    """Checks that a version has a verb.

    Raises:
        VerbNotSupported: It has not; the message lists those that it has.
    """
    if verb not in version.verbs:
        verbs = ", ".join(version.verbs)
        raise VerbNotSupported(
            f"{version.name} cannot {'find neighbours' if verb == 'neighbours' else verb}; it can: {verbs}.",
            field="model",
            metadata={"verbs": ",".join(version.verbs)},
        )


def check_draw(sample_count: int, first_index: int, seed: int | None, chunk_rows: int, most: int) -> None:
    """Checks the numbers of a draw.

    Raises:
        InvalidRequest: A number is negative or 0 where it may not be.
        OutOfRange: A number is over its limit.
    """
    if sample_count < 1:
        raise InvalidRequest(f"`sample_count` is 1 or greater; got {sample_count}.", field="sample_count")
    if sample_count > most:
        raise OutOfRange(f"`sample_count` is at most {most}; got {sample_count}.", field="sample_count")
    if first_index < 0:
        raise InvalidRequest(f"`first_index` is 0 or greater; got {first_index}.", field="first_index")
    if first_index > MOST_INDEX - sample_count:
        raise OutOfRange(
            f"`first_index` + `sample_count` is at most 2^63 - 1; got {first_index} + {sample_count}.",
            field="first_index",
        )
    if seed is not None and not 0 <= seed < 2**64:
        raise OutOfRange(f"`seed` has 64 bits; got {seed}.", field="seed")
    if chunk_rows < 0:
        raise InvalidRequest(f"`chunk_rows` is 0 or greater; got {chunk_rows}.", field="chunk_rows")


def check_output(model: Model, output: Output) -> Output:
    """Checks that a model's samples have the form that a request asks for.

    Returns:
        The form, empty where it is the event's own.

    Raises:
        InvalidRequest: They have not; the message lists the forms that they have.
    """
    event = model.event
    forms = [event.dtype, *(["uint8"] if event.minimum is not None and event.dtype != "uint8" else [])]
    if output.media_type and output.media_type not in model.media_types:
        raise InvalidRequest(
            f"The model does not give {output.media_type!r}.{suggestion(output.media_type, model.media_types)}",
            field="output.media_type",
        )
    if output.dtype and output.dtype not in forms:
        raise InvalidRequest(
            f"The model's samples are given as {' or '.join(forms)}, not as {output.dtype}.", field="output.tensor"
        )
    dtype = "" if output.dtype == event.dtype else output.dtype
    return Output(dtype, output.media_type, with_event=output.with_event and bool(dtype or output.media_type))


def check_on_the_way(model: Model, preview_steps: int, text_deltas: bool) -> None:
    """Checks that samples can be seen on their way as a request asks.

    Raises:
        InvalidRequest: They cannot, or the number of steps is negative.
    """
    if preview_steps < 0:
        raise InvalidRequest(f"`preview_steps` is 0 or greater; got {preview_steps}.", field="preview_steps")
    for name, asked, feature in (("preview_steps", preview_steps, PREVIEW), ("text_deltas", text_deltas, TEXT_DELTAS)):
        if asked and feature not in features_of(model):
            raise InvalidRequest(f"The model has no {feature}: leave `{name}` out.", field=name)


def check_inputs(
    model: Model, function: str, options: Options, inputs: Mapping[str, Rows], row_count: int, max_image_bytes: int
) -> Mapping[str, Rows]:
    """Checks the tensors, strings and image files of a request.

    Args:
        model: What declares them.
        function: What is asked.
        options: The request's options.
        inputs: By name.
        row_count: Rows of the request.
        max_image_bytes: Most bytes of an image file.

    Returns:
        The inputs in the order of their declaration, as the model gets them: with defaults, and tokens for strings.

    Raises:
        InvalidRequest: One is missing, not known, or has the wrong type, shape or number of rows; or there is no row.
        OutOfRange: One has a value outside its range.
    """
    specs = input_specs(model, function)
    verb = verb_of(function)
    kind, prefix = "condition" if verb == "sample" else "input", VERBS[verb].prefix
    for name in inputs:
        if name not in specs:
            raise InvalidRequest(f"The model has no {kind} {name!r}.{suggestion(name, specs)}", field=f"{prefix}{name}")
    for name, spec in specs.items():
        field = f"{prefix}{name}"
        if name not in inputs and spec.default is not None:
            continue
        if name not in inputs:
            raise InvalidRequest(f"`{field}` is missing.", field=field)
        rows = inputs[name]
        if isinstance(rows, list) and rows and isinstance(rows[0], bytes):
            _check_files(spec, rows, field, max_image_bytes)
        else:
            spec.validate(rows, field=field)
        if not len(rows):
            raise InvalidRequest(f"`{field}` has no rows.", field=field)
        _check_count(verb, name, rows, row_count, field)
    if not row_count:
        raise InvalidRequest("`inputs` is empty: the request has no rows.", field="inputs")
    whole = {name: inputs[name] if name in inputs else spec.default_row() for name, spec in specs.items()}
    model.validate(verb, options, whole)
    return {name: _tokens(model, rows, f"{prefix}{name}") for name, rows in whole.items()}


def _check_count(verb: str, name: str, rows: Rows, row_count: int, field: str) -> None:
    """Checks that an input has a row for each of the request's, or one where that is enough."""
    count = len(rows)
    if verb == "sample":
        if count not in (1, row_count):
            raise InvalidRequest(
                f"`{field}` has 1 row for all samples, or one a sample ({row_count}); got {count}.", field=field
            )
        return
    shared = name in VERBS[verb].shared
    if count != row_count and not (shared and count == 1):
        raise InvalidRequest(f"`{field}` has {count} rows; the request has {row_count}.", field=field)
    if shared and any(value != rows[0] for value in rows):
        raise InvalidRequest(f"`{field}` is the same for all rows of a request.", field=field)


def _check_files(spec: TensorSpec, files: list[Any], field: str, max_image_bytes: int) -> None:
    """Checks what can be told of image files before a worker decodes them."""
    if not is_image(spec):
        raise InvalidRequest(f"`{field}` takes {spec.dtype} of the shape {list(spec.shape)}, no files.", field=field)
    for number, file in enumerate(files):
        if len(file) > max_image_bytes:
            raise OutOfRange(
                f"`{field}`, row {number}: the file has {len(file)} bytes; the most is {max_image_bytes}.", field=field
            )
        if not file:
            raise InvalidRequest(
                f"`{field}`, row {number}: the file is empty; it is one of {', '.join(INPUT_FORMATS)}.", field=field
            )


def _tokens(model: Model, rows: Rows, field: str) -> Rows:
    """The rows as the model gets them."""
    if model.tokens is None or not isinstance(rows, list):
        return rows
    tokens = []
    for number, text in enumerate(rows):
        try:
            tokens.append(model.tokenize(str(text)))
        except ValueError as fault:
            raise InvalidRequest(f"`{field}`, row {number}: {fault}", field=field) from fault
    return np.stack(tokens)
