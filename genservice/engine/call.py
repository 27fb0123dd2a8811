"""What a request asks of a model, and the slices of it that share a batch with others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from genservice.model.options import Options

Rows = NDArray[Any] | list[str] | list[bytes]
"""Values, one a row: an array with a leading row dimension, strings, or image files."""

Results = Mapping[str, NDArray[Any] | list[bytes] | list[str]]
"""What a verb returned for some rows, by the name of the output; each has one value a row."""


@dataclass(frozen=True, slots=True)
class Output:
    """The form in which samples are delivered.

    Args:
        dtype: `float32`, `uint8`, or empty for the event's own type.
        media_type: A media type of the model; empty for a tensor.
        with_event: Whether samples in another form come with the event itself, as `event` beside `samples`.
    """

    dtype: str = ""
    media_type: str = ""
    with_event: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request's rows for one function of one version.

    Args:
        verb: What the worker runs: one of `genservice.engine.verbs.functions_of` the model.
        row_count: Rows in all.
        options: Options of every row.
        inputs: By name: one value a row, or one row that all share.
        seed: Seed of the draws.
        first_index: Index of the first row's draw.
        output: Form of the samples.
        preview_steps: Steps between previews of an iterative draw; 0: none.
        text_deltas: Whether text is told as it is drawn.
    """

    verb: str
    row_count: int
    options: Options
    inputs: Mapping[str, Rows] = field(default_factory=dict)
    seed: int = 0
    first_index: int = 0
    output: Output = Output()
    preview_steps: int = 0
    text_deltas: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Consecutive rows of one call, as they stand in a batch.

    Args:
        call: The call.
        start: First row, counted from the call's first.
        stop: One past the last row.
    """

    call: Call
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def rows_of(self, name: str) -> Rows:
        """The slice's rows of an input; a shared row is repeated."""
        rows = self.call.inputs[name]
        if len(rows) == self.call.row_count:
            return rows[self.start : self.stop]
        return rows * len(self) if isinstance(rows, list) else rows.repeat(len(self), axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class RowDone:
    """A row of an iterative draw has ended.

    Args:
        row: Which, counted from the call's first.
        results: Its samples: one.
    """

    row: int
    results: Results


@dataclass(frozen=True, slots=True, eq=False)
class RowPreview:
    """A row as it would be if it ended now.

    Args:
        row: Which, counted from the call's first.
        step: Steps that it has made.
        results: Its samples: one.
    """

    row: int
    step: int
    results: Results


@dataclass(frozen=True, slots=True)
class RowText:
    """More of a row's text.

    Args:
        row: Which, counted from the call's first.
        token_offset: Tokens of the row before this.
        character_offset: Characters of the row before this.
        text: The text.
    """

    row: int
    token_offset: int
    character_offset: int
    text: str


RowEvent = RowDone | RowPreview | RowText
"""What happens to a row of an iterative draw."""


def moved(event: RowEvent, rows: int) -> RowEvent:
    """The event of a row that is counted from another."""
    changes: dict[str, Any] = {"row": event.row + rows}
    return replace(event, **changes) if rows else event


Batch = Sequence[Slice]
"""Slices of calls of one verb with equal static options."""


def concatenate(parts: Sequence[Results]) -> Results:
    """Joins the results of consecutive slices."""
    if len(parts) == 1:
        return parts[0]
    import numpy as np

    joined: dict[str, Any] = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        joined[name] = [row for rows in values for row in rows] if isinstance(first, list) else np.concatenate(values)
    return joined
