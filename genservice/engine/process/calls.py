"""Slices of calls on their way to the worker."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, get_origin

from genservice.engine.call import Batch, Call, Output, Slice
from genservice.engine.call import Rows as RowValues
from genservice.engine.images import has_files
from genservice.engine.process.messages import Rows, decode_values, encode_values
from genservice.engine.process.rows import Column, Packer, Unpacker
from genservice.model.options import Options

_KEPT_OPTIONS = 1024
_DRAWS = "sample"


class SlicePacker:
    """The server's end, for one version.

    Args:
        options: What the model declares.
    """

    def __init__(self, options: type[Options]) -> None:
        self._values = _values_of(tuple(options.model_fields))

    def batch(self, batch: Batch, packer: Packer) -> tuple[list[Rows], list[list[int]]]:
        """Describes a batch.

        Rows that differ in nothing but their inputs go together, so that the worker sees one call where the batch has
        many: for draws, which have an address each, there is nothing to gain; and requests with files stay apart,
        because a file may be bad.

        Args:
            batch: The slices.
            packer: Takes in the inputs.

        Returns:
            The rows, and for each of them the rows of the slices that it consists of.
        """
        rows: list[Rows] = []
        counts: list[list[int]] = []
        if batch[0].call.verb == _DRAWS:
            for piece in batch:
                rows.append(self.piece(piece, packer))
                counts.append([len(piece)])
            return rows, counts
        groups: list[_Group] = []
        for piece in batch:
            inputs, options = _inputs_of(piece), self._values(piece.call.options)
            if not groups or not groups[-1].takes(piece, options, inputs):
                groups.append(_Group(piece, options))
            groups[-1].counts.append(piece.stop - piece.start)
            groups[-1].inputs.append(inputs)
        for group in groups:
            counts.append(group.counts)
            columns = [(name, packer.add([inputs[name] for inputs in group.inputs])) for name in group.call.inputs]
            rows.append(_described(group.call, group.options, sum(group.counts), group.first_index, columns))
        return rows, counts

    def piece(self, piece: Slice, packer: Packer) -> Rows:
        """Describes one slice."""
        columns = [(name, packer.add((rows,))) for name, rows in _inputs_of(piece).items()]
        options = self._values(piece.call.options)
        return _described(piece.call, options, len(piece), piece.call.first_index + piece.start, columns)


class _Group:
    """Slices of a batch that go together."""

    def __init__(self, first: Slice, options: bytes) -> None:
        self.call = first.call
        self.first_index = first.call.first_index + first.start
        self.options = options
        self.counts: list[int] = []
        self.inputs: list[Mapping[str, RowValues]] = []

    def takes(self, piece: Slice, options: bytes, inputs: Mapping[str, RowValues]) -> bool:
        """Whether a slice differs in nothing but its inputs, and has one of them for each row."""
        if has_files(piece.call) or has_files(self.call):
            return False
        if options != self.options or piece.call.output != self.call.output or len(inputs) != len(self.inputs[0]):
            return False
        for name, rows in inputs.items():
            first = self.inputs[0].get(name)
            if first is None or len(rows) != len(piece) or len(first) != self.counts[0]:
                return False
            if isinstance(rows, list) or isinstance(first, list):
                if type(rows) is not type(first):
                    return False
            elif rows.dtype != first.dtype or (rows.shape != first.shape and rows.shape[1:] != first.shape[1:]):
                return False
        return True


class SliceUnpacker:
    """The worker's end, for one version.

    Args:
        options: What the model declares.
    """

    def __init__(self, options: type[Options]) -> None:
        self._options = options
        self._names = tuple(options.model_fields)
        self._lists = {name for name, field in options.model_fields.items() if get_origin(field.annotation) is list}
        self._known: dict[bytes, Options] = {}

    def piece(self, verb: str, rows: Rows, unpacker: Unpacker) -> Slice:
        """Makes a call of rows, and a slice of all of it."""
        inputs: dict[str, Any] = {name: unpacker.take(column, copy=False) for name, column in rows.inputs}
        call = Call(
            verb,
            rows.row_count,
            self._options_of(rows.options),
            inputs,
            rows.seed,
            rows.first_index,
            Output(rows.dtype, rows.media_type, rows.with_event),
            rows.preview_steps,
            rows.text_deltas,
        )
        return Slice(call, 0, rows.row_count)

    def _options_of(self, values: bytes) -> Options:
        known = self._known.get(values)
        if known is None:
            # Checked in the server: here a label's name, for example, could not be.
            parsed: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) and name not in self._lists else value
                for name, value in zip(self._names, decode_values(values), strict=True)
            }
            known = self._options.model_construct(None, **parsed)
            if len(self._known) >= _KEPT_OPTIONS:
                self._known.pop(next(iter(self._known)))
            self._known[values] = known
        return known


def _values_of(names: Sequence[str]) -> Callable[[Options], bytes]:
    """Makes what encodes options: as bytes 1, 1.0 and True differ, as values they do not."""
    if not names:
        nothing = encode_values(())
        return lambda options: nothing
    getter = attrgetter(*names)
    if len(names) == 1:
        return lambda options: encode_values((getter(options),))
    return lambda options: encode_values(getter(options))


def _inputs_of(piece: Slice) -> Mapping[str, RowValues]:
    """The slice's rows of each input; a row that all share once."""
    call = piece.call
    if piece.stop - piece.start == call.row_count:
        return call.inputs
    return {
        name: rows[piece.start : piece.stop] if len(rows) == call.row_count else rows
        for name, rows in call.inputs.items()
    }


def _described(call: Call, options: bytes, count: int, first_index: int, columns: list[tuple[str, Column]]) -> Rows:
    output = call.output
    return Rows(
        count,
        options,
        columns,
        call.seed,
        first_index,
        output.dtype,
        output.media_type,
        output.with_event,
        call.preview_steps,
        call.text_deltas,
    )
