"""Image files among the inputs of a batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Batch, Call, Slice
from genservice.engine.verbs import input_specs
from genservice.errors import InvalidRequest
from genservice.model.base import Model
from genservice.model.media import decode_image


def has_files(call: Call) -> bool:
    """Whether inputs of a call are files."""
    return any(isinstance(rows, list) and isinstance(rows[0], bytes) for rows in call.inputs.values())


def decoded(model: Model, batch: Batch) -> Batch:
    """The same rows with arrays in place of image files.

    Args:
        model: What declares the inputs.
        batch: Slices, some of whose inputs are files.

    Returns:
        Slices of calls of their own.

    Raises:
        InvalidRequest: A file cannot be read as the input; the message names the row.
    """
    return [_decoded(model, piece) if has_files(piece.call) else piece for piece in batch]


def _decoded(model: Model, piece: Slice) -> Slice:
    call = piece.call
    specs = input_specs(model, call.verb)
    inputs: dict[str, Any] = {}
    for name in call.inputs:
        rows = piece.rows_of(name)
        inputs[name] = rows
        if isinstance(rows, list) and isinstance(rows[0], bytes):
            inputs[name] = _rows(rows, specs, name, call.first_index + piece.start)
    own = Call(
        call.verb,
        len(piece),
        call.options,
        inputs,
        call.seed,
        call.first_index + piece.start,
        call.output,
        call.preview_steps,
        call.text_deltas,
    )
    return Slice(own, 0, len(piece))


def _rows(files: list[Any], specs: Mapping[str, Any], name: str, first: int) -> NDArray[Any]:
    rows = []
    for number, file in enumerate(files):
        try:
            rows.append(decode_image(file, specs[name]))
        except InvalidRequest as fault:
            raise InvalidRequest(f"`{name}`, row {first + number}: {fault.message}", field=name) from fault
    return np.stack(rows)
