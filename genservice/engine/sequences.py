"""Sequences of different lengths as rows of one length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Rows
from genservice.errors import InvalidRequest, OutOfRange, suggestion
from genservice.model.base import Tagger


def pad(model: Tagger, sequences: Sequence[Rows], field: str = "sequences") -> dict[str, Rows]:
    """Makes the inputs of the verb `tag`.

    Args:
        model: What declares a position.
        sequences: Of each row, one entry a position: an array, or strings.
        field: Path of the request's field, for the error.

    Returns:
        `inputs`, `[rows, model.positions, ...]` as the model gets them, padded by repeating the last position, and
        `lengths`, int32 `[rows]`.

    Raises:
        InvalidRequest: There are none, or one is empty or not of the declared type and shape.
        OutOfRange: One has too many positions, or a value outside its range.
    """
    if not sequences:
        raise InvalidRequest(f"`{field}` is empty: there is one sequence a row.", field=field)
    rows = [_positions(model, sequence, f"{field}[{number}]") for number, sequence in enumerate(sequences)]
    lengths = np.array([len(row) for row in rows], np.int32)
    return {"inputs": _padded(rows, model.positions), "lengths": lengths}


def pad_labellings(
    model: Tagger, labellings: Sequence[Sequence[str]], lengths: NDArray[np.int32], field: str = "labellings"
) -> NDArray[np.int32]:
    """Makes the labels of sequences that are scored.

    Args:
        model: What declares the labels.
        labellings: Names of labels, one a position, of each row.
        lengths: Positions of each row.
        field: Path of the request's field, for the error.

    Returns:
        Places in the model's labels, int32 `[rows, model.positions]`, padded as the sequences are.

    Raises:
        InvalidRequest: There are not as many as positions, or one is not known.
    """
    if len(labellings) != len(lengths):
        raise InvalidRequest(f"`{field}` has {len(labellings)} rows for {len(lengths)} sequences.", field=field)
    places = {label: place for place, label in enumerate(model.labels)}
    rows = []
    for number, (names, length) in enumerate(zip(labellings, lengths.tolist(), strict=True)):
        path = f"{field}[{number}]"
        if len(names) != length:
            raise InvalidRequest(f"`{path}` has {len(names)} labels for {length} positions.", field=path)
        for name in names:
            if name not in places:
                raise InvalidRequest(
                    f"`{path}`: {name!r} is not a label of this model.{suggestion(name, model.labels)}", field=path
                )
        rows.append(np.array([places[name] for name in names], np.int32))
    return _padded(rows, model.positions)


def _positions(model: Tagger, sequence: Rows, field: str) -> NDArray[Any]:
    """One sequence as the model gets it, `[positions, ...]`."""
    if not len(sequence):
        raise InvalidRequest(f"`{field}` has no positions; a sequence has 1 or more.", field=field)
    if len(sequence) > model.positions:
        raise OutOfRange(
            f"`{field}` has {len(sequence)} positions; the model takes {model.positions} at most.", field=field
        )
    model.event.validate(sequence, field=field)
    if not isinstance(sequence, list):
        return sequence
    tokens = []
    for number, text in enumerate(sequence):
        try:
            tokens.append(model.tokenize(str(text)))
        except ValueError as fault:
            raise InvalidRequest(f"`{field}`, position {number}: {fault}", field=field) from fault
    return np.stack(tokens)


def _padded(rows: Sequence[NDArray[Any]], positions: int) -> NDArray[Any]:
    """Rows of one length, by repeating the last entry."""
    return np.stack([row[np.minimum(np.arange(positions), len(row) - 1)] for row in rows])
