"""Image files among the inputs of a batch."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Batch, Call, Slice
from genservice.engine.verbs import VERBS, input_specs, verb_of
from genservice.errors import InvalidRequest
from genservice.model.base import Model
from genservice.model.media import decode_image
from genservice.model.specs import TensorSpec


def has_files(call: Call) -> bool:
    """Whether inputs of a call are files."""
    return any(map(_are_files, call.inputs.values()))


def decoded(model: Model, batch: Batch) -> list[Slice | InvalidRequest]:
    """The same rows with arrays in place of image files.

    Args:
        model: What declares the inputs.
        batch: Slices, some of whose inputs are files.

    Returns:
        Slices, of calls of their own where there were files. In the place of one with a file that cannot be read the
        error, which names the row: a bad file is nothing to its neighbours.
    """
    pieces: list[Slice | InvalidRequest] = []
    for piece in batch:
        try:
            pieces.append(_decoded(model, piece) if has_files(piece.call) else piece)
        except InvalidRequest as fault:
            pieces.append(fault)
    return pieces


def _are_files(rows: Any) -> bool:
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], bytes)


def _decoded(model: Model, piece: Slice) -> Slice:
    call = piece.call
    specs = input_specs(model, call.verb)
    prefix = VERBS[verb_of(call.verb)].prefix
    # A worker process has a part of a request: of draws it knows the index, of others the row.
    noun, first = "sample" if call.verb == "sample" else "row", call.first_index + piece.start
    inputs: dict[str, Any] = {}
    for name, whole in call.inputs.items():
        if not _are_files(whole):
            inputs[name] = piece.rows_of(name)
        elif len(whole) == call.row_count:
            inputs[name] = _rows(piece.rows_of(name), specs[name], f"{prefix}{name}", noun, first)
        else:
            # One file for all rows is decoded once.
            inputs[name] = _rows(whole, specs[name], f"{prefix}{name}", "row", 0).repeat(len(piece), axis=0)
    changes: dict[str, Any] = {"row_count": len(piece), "inputs": inputs, "first_index": first}
    return Slice(replace(call, **changes), 0, len(piece))


def _rows(files: Any, spec: TensorSpec, field: str, noun: str, first: int) -> NDArray[Any]:
    rows = []
    for number, file in enumerate(files, first):
        try:
            rows.append(decode_image(file, spec))
        except InvalidRequest as fault:
            raise InvalidRequest(f"`{field}`, {noun} {number}: {fault.message}", field=field) from fault
    return np.stack(rows)
