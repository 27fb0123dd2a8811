"""A loaded model as the worker runs it: verbs traced for each batch size, warmed up and checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine import checks
from genservice.engine.call import Batch, Call, Output, Results, Slice
from genservice.engine.tracing import Traced, Untraced
from genservice.engine.verbs import VERBS, input_specs, verbs_of
from genservice.errors import PluginError
from genservice.model.base import Generator, Model
from genservice.model.media import to_uint8
from genservice.model.noise import words
from genservice.model.options import Options, OptionScalar, static_names, static_values
from genservice.store.manifest import Serving

MOST_STATIC_COMBINATIONS = 32
_COLUMN_DTYPES = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float32)}


class Runtime:
    """One version in a worker.

    Args:
        model: Made from the version's config, not yet loaded.
        serving: Batch sizes, and whether XLA compiles.
        intra_op_threads: Threads of one TensorFlow operation; 0: one a core.
    """

    def __init__(self, model: Model, serving: Serving, intra_op_threads: int = 0) -> None:
        self.model = model
        self.serving = serving
        self.numerics = ""
        self._threads = intra_op_threads
        self._statics = static_names(model.Options)
        self._columns = _column_dtypes(model)
        self._caller: Traced | Untraced = Untraced()
        self.answer_row_bytes: dict[str, int] = {}
        """Bytes of one row of each verb's result; known once it is warm."""
        self._functions: dict[tuple[object, ...], Callable[..., Any]] = {}

    def load(self, directory: Path) -> None:
        """Reads the weights.

        Args:
            directory: The version's folder.

        Raises:
            PluginError: The model's options cannot be served as they are.
        """
        if self.model.traced:
            self._caller = Traced(self.serving.jit_compile, self._threads)
        self.numerics = self._caller.numerics(self.serving.sizes)
        self.model.load(directory)

    def warm_up(self) -> Iterator[None]:
        """Runs every verb at every batch size with every value of the static options, then checks the model.

        Yields:
            After each call, so that other work can be done in between.

        Raises:
            PluginError: The model breaks a promise; the message says which.
        """
        choices = [[(name, value) for value in static_values(self.model.Options, name)] for name in self._statics]
        combinations = [dict(choice) for choice in product(*choices)]
        if len(combinations) > MOST_STATIC_COMBINATIONS:
            raise PluginError(
                f"The static options have {len(combinations)} combinations, and each is traced; "
                f"the most is {MOST_STATIC_COMBINATIONS}."
            )
        for verb in verbs_of(self.model):
            for values in combinations:
                options = self.model.Options().model_copy(update=values)
                for size in reversed(self.serving.sizes):
                    (results,) = self.run([Slice(self.example(verb, size, options), 0, size)])
                    self.answer_row_bytes[verb] = checks.row_bytes(results[VERBS[verb].output])
                    yield
        yield from checks.check(self)

    def example(self, verb: str, rows: int, options: Options | None = None, *, seed: int = 0) -> Call:
        """A call for warm-up and checks; inputs and noise depend on the seed."""
        inputs = {name: checks.example_rows(spec, rows, seed) for name, spec in input_specs(self.model, verb).items()}
        return Call(verb, rows, options or self.model.Options(), inputs, seed=seed)

    def run(self, batch: Batch) -> Sequence[Results]:
        """Runs a batch, padded to the next batch size.

        Args:
            batch: Slices of calls of one verb with equal static options.

        Returns:
            The results of each slice, in the model's own types.
        """
        call = batch[0].call
        rows = sum(map(len, batch))
        size = next(size for size in self.serving.sizes if size >= rows)
        statics = {name: getattr(call.options, name) for name in self._statics}
        output = self._function(call.verb, statics)(
            self._option_columns(batch, size),
            self._inputs(batch, size),
            *(self._address(batch, size) if call.verb == "sample" else ()),
        )
        name = VERBS[call.verb].output
        if len(output) != size:
            raise PluginError(f"`{call.verb}` returned {len(output)} rows for a batch of {size}.")
        if len(batch) == 1 and rows == size:
            return [{name: output}]
        results, start = [], 0
        for piece in batch:
            # Copied, so that a slow reader of a few rows does not hold the whole batch.
            results.append({name: output[start : start + len(piece)].copy()})
            start += len(piece)
        return results

    def form(self, output: Output, results: Results) -> Results:
        """Gives samples the form that a request asked for.

        Args:
            output: The form.
            results: Samples in the event's type.

        Returns:
            Samples as uint8, or as files.
        """
        samples: Any = results["samples"]
        if output.media_type:
            generator = self.model
            assert isinstance(generator, Generator)
            return {"samples": [generator.encode_media(output.media_type, sample) for sample in samples]}
        return {"samples": to_uint8(samples, self.model.event)}

    def unload(self) -> None:
        """Drops the model and its traces."""
        self._functions.clear()
        self.model = type(self.model)(self.model.config)

    def _function(self, verb: str, statics: Mapping[str, OptionScalar]) -> Callable[..., Any]:
        key = (verb, *statics.items())
        if key not in self._functions:
            self._functions[key] = self._caller.function(self.model, verb, statics, self._columns)
        return self._functions[key]

    def _option_columns(self, batch: Batch, size: int) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, dtype in self._columns.items():
            values = [getattr(piece.call.options, name) for piece in batch]
            counts = [len(piece) for piece in batch]
            counts[-1] += size - sum(counts)  # padding repeats the last row
            if dtype is None:
                columns[name] = [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
            else:
                columns[name] = np.repeat(np.array(values, dtype), counts)
        return columns

    def _inputs(self, batch: Batch, size: int) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name in batch[0].call.inputs:
            parts: list[Any] = [piece.rows_of(name) for piece in batch]
            padding = size - sum(map(len, batch))
            if isinstance(parts[0], list):
                inputs[name] = [row for part in parts for row in part] + [parts[-1][-1]] * padding
            else:
                parts.append(np.repeat(parts[-1][-1:], padding, axis=0))
                inputs[name] = np.concatenate(parts)
        return inputs

    def _address(self, batch: Batch, size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        seeds = np.zeros(size, np.uint64)
        indexes = np.zeros(size, np.uint64)
        start = 0
        for piece in batch:
            stop = start + len(piece)
            seeds[start:stop] = piece.call.seed
            indexes[start:stop] = np.arange(len(piece), dtype=np.uint64) + np.uint64(
                piece.call.first_index + piece.start
            )
            start = stop
        return words(seeds), words(indexes)


def _column_dtypes(model: Model) -> dict[str, np.dtype[Any] | None]:
    columns: dict[str, np.dtype[Any] | None] = {}
    statics = static_names(model.Options)
    for name, value in model.Options():
        if name in statics:
            continue
        columns[name] = _COLUMN_DTYPES.get(type(value))
        if columns[name] is None and (model.traced or not isinstance(value, str)):
            raise PluginError(
                f"The option {name!r} of the family {model.family!r} has the default {value!r}: an option is a bool, "
                "an int or a float, or a string where it is static or the model sets `traced = False`."
            )
    return columns
