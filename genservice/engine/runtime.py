"""A loaded model as the worker runs it: its functions traced for each batch size, warmed up and checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine import checks
from genservice.engine.call import Batch, Call, Output, Results, Slice
from genservice.engine.gather import addresses, input_columns, option_columns, option_dtypes
from genservice.engine.slots import Joining, Slots
from genservice.engine.tracing import Traced, Untraced
from genservice.engine.verbs import functions_of
from genservice.errors import PluginError
from genservice.model.base import Generator, IterativeGenerator, Model, TextGenerator
from genservice.model.media import to_uint8
from genservice.model.options import Options, OptionScalar, static_names, static_values
from genservice.store.manifest import Serving

MOST_STATIC_COMBINATIONS = 32


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
        self._columns = option_dtypes(model)
        self._caller: Traced | Untraced = Untraced()
        self.answer_row_bytes: dict[str, int] = {}
        """Bytes of one row of each function's results; known once it is warm."""
        self._functions: dict[tuple[object, ...], Callable[..., Any]] = {}
        self._slots: Slots | None = None

    @property
    def slots(self) -> Slots:
        """Where the rows of an iterative model live; once it is loaded."""
        assert self._slots is not None
        return self._slots

    @property
    def threads_pinned(self) -> bool:
        """Whether the number of threads is the one of the settings."""
        return self._caller.pinned

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
        if isinstance(self.model, IterativeGenerator):
            if self._statics:
                raise PluginError(
                    f"The iterative family {self.model.family!r} has the static options {', '.join(self._statics)}: "
                    "its rows share steps whatever their options, so none is static."
                )
            functions = self._caller.slots(self.model, self.serving.sizes[-1], self._columns)
            self._slots = Slots(self.model, functions, self.serving.sizes, Joining(self.serving.joining))

    def warm_up(self) -> Iterator[None]:
        """Runs every function at every batch size with every value of the static options, then checks the model.

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
        for function in functions_of(self.model):
            if function == "sample" and self._slots is not None:
                yield from self._warm_slots(self._slots)
                continue
            for values in combinations:
                options = self.model.Options().model_copy(update=values)
                for size in reversed(self.serving.sizes):
                    (results,) = self.run([Slice(self.example(function, size, options), 0, size)])
                    self.answer_row_bytes[function] = sum(map(checks.row_bytes, results.values()))
                    yield
        yield from checks.check(self)

    def _warm_slots(self, slots: Slots) -> Iterator[None]:
        """Makes a step at every size."""
        for size in reversed(self.serving.sizes):
            slots.add(Slice(self.example("sample", size), 0, size), size)
            slots.turn()
            if not isinstance(self.model, TextGenerator):
                slots.functions.finish(np.arange(size, dtype=np.int32))
            slots.clear()
            yield
        slots.functions.move(np.array([0], np.int32), np.array([0], np.int32))
        self.answer_row_bytes["sample"] = self.model.event.row_bytes

    def example(self, function: str, rows: int, options: Options | None = None, *, seed: int = 0) -> Call:
        """A call for warm-up and checks; inputs and noise depend on the seed."""
        inputs = checks.example_inputs(self.model, function, rows, seed)
        return Call(function, rows, options or self.model.Options(), inputs, seed=seed)

    def run(self, batch: Batch) -> Sequence[Results]:
        """Runs a batch, padded to the next batch size.

        Args:
            batch: Slices of calls of one function with equal static options and equal shared inputs.

        Returns:
            The results of each slice, in the model's own types.
        """
        call = batch[0].call
        rows = sum(map(len, batch))
        size = next(size for size in self.serving.sizes if size >= rows)
        statics = {name: getattr(call.options, name) for name in self._statics}
        inputs = input_columns(batch, size)
        output = self._function(call.verb, statics)(
            option_columns(batch, size, self._columns),
            inputs,
            *(addresses(batch, size) if call.verb == "sample" else ()),
        )
        for name, column in output.items():
            if column.ndim == 0 or len(column) != size:
                count = len(column) if column.ndim else "no"
                raise PluginError(f"`{call.verb}` returned {count} rows of {name} for a batch of {size}.")
        if call.verb == "tag":
            output = _without_padding(output, inputs["lengths"])
        if len(batch) == 1 and rows == size:
            return [output]
        results, start = [], 0
        for piece in batch:
            # Copied, so that a slow reader of a few rows does not hold the whole batch.
            stop = start + len(piece)
            results.append({name: column[start:stop].copy() for name, column in output.items()})
            start = stop
        return results

    def form(self, output: Output, results: Results) -> Results:
        """Gives samples the form that a request asked for.

        Args:
            output: The form.
            results: Samples in the event's type.

        Returns:
            Samples as uint8, or as files; where that is asked for with the event itself.
        """
        samples: Any = results["samples"]
        formed: Any
        if output.media_type:
            generator = self.model
            assert isinstance(generator, Generator)
            formed = [generator.encode_media(output.media_type, sample) for sample in samples]
        else:
            formed = to_uint8(samples, self.model.event)
        return {"samples": formed, "event": samples} if output.with_event else {"samples": formed}

    def unload(self) -> None:
        """Drops the model and its traces."""
        self._functions.clear()
        self._slots = None
        self.model = type(self.model)(self.model.config)

    def _function(self, name: str, statics: Mapping[str, OptionScalar]) -> Callable[..., Any]:
        key = (name, *statics.items())
        if key not in self._functions:
            self._functions[key] = self._caller.function(self.model, name, statics, self._columns)
        return self._functions[key]


def _without_padding(output: Mapping[str, NDArray[Any]], lengths: NDArray[np.int32]) -> Mapping[str, NDArray[Any]]:
    """Taggings with zeros where sequences are padded."""
    inside = np.arange(output["labels"].shape[1]) < lengths[:, None]
    # What stands there may be NaN, and a product of that is.
    return {
        "labels": np.where(inside, output["labels"], 0),
        "marginals": np.where(inside[..., None], output["marginals"], output["marginals"].dtype.type(0)),
    }
