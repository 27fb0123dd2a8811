"""What a model must show before it is ready: rows that depend on their addresses alone, and samples that are random."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Call, RowDone, Rows, Slice
from genservice.engine.slots import Slots
from genservice.engine.verbs import VERBS, functions_of, input_specs, most_neighbours, verb_of
from genservice.errors import InvalidRequest, PluginError
from genservice.model.base import Determinism, IterativeGenerator, Model, Predictor, Retriever, Tagger
from genservice.model.options import Options, OptionScalar, parse_options, static_names
from genservice.model.specs import TensorSpec

if TYPE_CHECKING:
    from genservice.engine.runtime import Runtime

SEEDS = (1, 2)
MOST_ROWS = 8
STEPS_BEFORE = 2

Arrays = Mapping[str, NDArray[Any]]
"""Results by name."""


def check(runtime: "Runtime") -> Iterator[None]:
    """Checks a warmed-up model.

    Yields:
        Often, so that other work can be done in between.

    Raises:
        PluginError: The message says which promise is broken, and how.
    """
    _check_bitwise(runtime)
    model = runtime.model
    for function in functions_of(model):
        rows = min(MOST_ROWS, runtime.serving.max_batch_rows)
        call = runtime.example(function, rows, seed=SEEDS[0])
        alone = yield from _run(runtime, call, rows)
        if function in ("sample", "decode"):
            _check_event(alone["samples"], model.event, function)
        elif verb_of(function) == "predict":
            _check_signature(alone, model, function)
        else:
            _check_shapes(alone, model, function)
        if function == "sample":
            yield from _check_random(runtime, call, alone)
        yield from _check_places(runtime, call, alone)
        yield


def _check_bitwise(runtime: "Runtime") -> None:
    model, serving = runtime.model, runtime.serving
    if model.determinism is not Determinism.BITWISE:
        return
    faults = {
        "jit_compile = true": model.traced and not serving.jit_compile,
        f"one batch size, not {len(serving.sizes)}": len(serving.sizes) != 1,
        "the number of threads of the setting engine.intra_op_threads": not runtime.threads_pinned,
    }
    if missing := [need for need, fault in faults.items() if fault]:
        raise PluginError(f"The model promises BITWISE, which needs {' and '.join(missing)}.")


def example_inputs(model: Model, function: str, rows: int, seed: int = 0) -> dict[str, Rows]:
    """Inputs that a function's specs allow, as the model gets them."""
    inputs: dict[str, Any] = dict(example_request(model, function, rows, seed))
    if model.tokens is not None:
        for name, values in inputs.items():
            inputs[name] = np.stack([model.tokenize(text) for text in values]) if isinstance(values, list) else values
    return inputs


def example_request(model: Model, function: str, rows: int, seed: int = 0) -> dict[str, Rows]:
    """Inputs that a function's specs allow, as a request has them; shared ones are at their maximum."""
    shared = VERBS[verb_of(function)].shared
    inputs: dict[str, Rows] = {}
    for name, spec in input_specs(model, function).items():
        values: Any = example_rows(spec, rows, seed)
        inputs[name] = np.full_like(values, spec.maximum) if name in shared else values
    return inputs


def example_rows(spec: TensorSpec, rows: int, seed: int = 0) -> Rows:
    """Rows that a spec allows: anywhere between its bounds, or between 0 and 1 where it has none."""
    generator = np.random.default_rng(seed)
    if spec.dtype == "string":
        return ["".join(generator.choice(list("abc"), 3)) for _ in range(rows)]
    low, high = (0.0, 1.0) if spec.minimum is None or spec.maximum is None else (spec.minimum, spec.maximum)
    values = generator.uniform(low, high, (rows, *(max(extent, 1) for extent in spec.shape)))
    whole = np.dtype(spec.dtype).kind in "iub"
    return (np.rint(values) if whole else values).astype(spec.dtype)


def other_options(model: Model) -> Options:
    """Options that differ from the defaults wherever the model allows it; static ones do not."""
    chosen: dict[str, OptionScalar] = {}
    for name, default in model.Options():
        if name in static_names(model.Options) or isinstance(default, tuple):
            continue
        schema = model.Options.model_json_schema()["properties"][name]
        bounds = [schema[bound] for bound in ("minimum", "maximum") if bound in schema]
        candidates = [not default] if isinstance(default, bool) else ["a", "b"] if isinstance(default, str) else []
        if not candidates:
            halves = [(default + bound) / 2 for bound in bounds if isinstance(default, float)]
            candidates = [*halves, default + 1, default - 1, *(type(default)(bound) for bound in bounds)]
        for candidate in candidates:
            try:
                parse_options(model.Options, {**chosen, name: candidate}, model.labels)
            except InvalidRequest:
                continue
            if candidate != default:
                chosen[name] = candidate
                break
    return parse_options(model.Options, chosen, model.labels)


def row_bytes(rows: NDArray[Any] | Sequence[bytes] | Sequence[str]) -> int:
    """Bytes of one row of a result."""
    return rows.nbytes // len(rows) if isinstance(rows, np.ndarray) else max(map(len, rows))


def _run(runtime: "Runtime", call: Call, rows: int, neighbours: Call | None = None) -> Generator[None, None, Arrays]:
    """Runs the first rows of a call; after neighbours, where there are any."""
    piece = Slice(call, 0, rows)
    if call.verb == "sample" and isinstance(runtime.model, IterativeGenerator):
        return {"samples": (yield from _draw(runtime.slots, piece, neighbours))}
    batch = [piece] if neighbours is None else [Slice(neighbours, 0, neighbours.row_count), piece]
    results = runtime.run(batch)[-1]
    yield
    return {name: np.asarray(rows) for name, rows in results.items()}


def _draw(slots: Slots, piece: Slice, neighbours: Call | None) -> Generator[None, None, NDArray[Any]]:
    """Draws in slots; the rows join when their neighbours have made some steps, and so get other slots."""
    if neighbours is not None:
        slots.add(Slice(neighbours, 0, neighbours.row_count), neighbours)
        for _ in range(STEPS_BEFORE):
            slots.turn()
            yield
    slots.add(piece, piece)
    samples: dict[int, Any] = {}
    while len(samples) < len(piece):
        for draw, event in slots.turn().events:
            if draw is piece and isinstance(event, RowDone):
                samples[event.row] = event.results["samples"]
        yield
    slots.clear()
    return np.concatenate([samples[row] for row in range(piece.start, piece.stop)])


def _check_event(samples: NDArray[Any], event: TensorSpec, verb: str) -> None:
    if event.dtype == "string":
        return
    if samples.dtype != np.dtype(event.dtype):
        raise PluginError(f"`{verb}` returned {samples.dtype}, and the event is {event.dtype}.")
    fits = len(event.shape) == samples.ndim - 1 and all(
        extent in (-1, given) for extent, given in zip(event.shape, samples.shape[1:], strict=True)
    )
    if not fits:
        raise PluginError(
            f"`{verb}` returned rows of shape {list(samples.shape[1:])}; the event is {list(event.shape)}."
        )
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise PluginError(f"`{verb}` returned NaN or infinity.")
    if event.minimum is not None and event.maximum is not None:
        low, high = samples.min(), samples.max()
        if low < event.minimum or high > event.maximum:
            raise PluginError(
                f"`{verb}` returned values from {low:g} to {high:g}; the event goes from "
                f"{event.minimum:g} to {event.maximum:g}."
            )


def _check_shapes(results: Arrays, model: Model, function: str) -> None:
    """Checks that the results of a row have the shape that those who ask rely on; -1 is any extent."""
    shapes: dict[str, tuple[int, ...]] = {}
    if function == "classify":
        shapes = {"probabilities": (len(model.labels),)}
    elif function == "score":
        shapes = {"log_prob": ()}
    elif function == "embed":
        shapes = {"embeddings": (-1,)}
    elif function == "neighbours":
        most = most_neighbours(cast("Retriever", model))
        shapes = {"indexes": (most,), "distances": (most,)}
    elif function == "tag":
        positions = cast("Tagger", model).positions
        shapes = {"labels": (positions,), "marginals": (positions, len(model.labels))}
    for name, shape in shapes.items():
        given = results[name].shape[1:]
        if len(given) != len(shape) or any(extent not in (-1, had) for extent, had in zip(shape, given, strict=True)):
            raise PluginError(f"`{function}` returned {name} of shape {list(given)} a row; it is {list(shape)}.")


def _check_signature(results: Arrays, model: Model, function: str) -> None:
    """Checks that a signature gives what it declares."""
    assert isinstance(model, Predictor)
    outputs = model.signatures[function.partition(":")[2]].outputs
    if set(results) != set(outputs):
        raise PluginError(f"`{function}` returned {', '.join(results)}; it declares {', '.join(outputs)}.")
    for name, spec in outputs.items():
        _check_event(results[name], spec, f"{function}, {name}")


def _check_random(runtime: "Runtime", call: Call, samples: Arrays) -> Iterator[None]:
    again = yield from _run(runtime, call, call.row_count)
    if not _agree(runtime, samples, again):
        raise PluginError("One seed gave two different samples: all randomness must come from the noise object.")
    other = yield from _run(runtime, runtime.example("sample", call.row_count, seed=SEEDS[1]), call.row_count)
    if np.array_equal(samples["samples"], other["samples"]):
        raise PluginError("Two seeds gave the same samples: a generative model is a distribution, not a constant.")


def _check_places(runtime: "Runtime", call: Call, alone: Arrays) -> Iterator[None]:
    """Runs one row in the smallest batch, and all after neighbours with other options, inputs and noise."""
    room = runtime.serving.max_batch_rows - call.row_count
    trials: list[tuple[int, Call | None]] = [(1, None)]
    if room > 0:
        neighbours = runtime.example(call.verb, room, other_options(runtime.model), seed=SEEDS[1])
        trials.append((call.row_count, neighbours))
    for count, beside in trials:
        rows = yield from _run(runtime, call, count, beside)
        first = {name: column[:count] for name, column in alone.items()}
        if not _agree(runtime, first, rows):
            raise PluginError(
                f"`{call.verb}` gave the same row other results at another place of a batch"
                f"{_difference(first, rows)}. Rows of a batch may not depend on each other."
            )


def _difference(left: Arrays, right: Arrays) -> str:
    differences = [
        float(np.max(np.abs(left[name].astype(np.float64) - right[name].astype(np.float64))))
        for name in _numbers(left)
        if left[name].shape == right[name].shape
    ]
    return f": they differ by {max(differences):.3g}" if differences else ""


def _numbers(results: Arrays) -> list[str]:
    return [name for name, column in results.items() if column.dtype.kind == "f"]


def _agree(runtime: "Runtime", left: Arrays, right: Arrays) -> bool:
    """Whether results are equal: under SAME_DRAWS numbers to the tolerance.

    Then places in a list beside numbers, such as which neighbour or label is the best, are not compared: where two are
    equally good, the last bit decides.
    """
    numbers = _numbers(left)
    if runtime.model.determinism is Determinism.BITWISE or not numbers:
        return all(np.array_equal(left[name], right[name]) for name in left)
    tolerance = runtime.model.tolerance
    return all(np.allclose(left[name], right[name], rtol=tolerance, atol=tolerance) for name in numbers)
