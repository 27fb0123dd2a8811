"""What a model must show before it is ready: rows that depend on their addresses alone, and samples that are random."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Call, Rows, Slice
from genservice.engine.verbs import VERBS, verbs_of
from genservice.errors import InvalidRequest, PluginError
from genservice.model.base import Determinism, Model
from genservice.model.options import Options, OptionScalar, parse_options, static_names
from genservice.model.specs import TensorSpec

if TYPE_CHECKING:
    from genservice.engine.runtime import Runtime

SEEDS = (1, 2)
MOST_ROWS = 8


def check(runtime: "Runtime") -> Iterator[None]:
    """Checks a warmed-up model.

    Yields:
        After each verb.

    Raises:
        PluginError: The message says which promise is broken, and how.
    """
    model = runtime.model
    if model.determinism is Determinism.BITWISE and model.traced and not runtime.serving.jit_compile:
        raise PluginError("The model promises BITWISE, which needs jit_compile = true.")
    if model.determinism is Determinism.BITWISE and len(runtime.serving.sizes) != 1:
        raise PluginError(f"The model promises BITWISE, which needs one batch size; it has {runtime.serving.sizes}.")
    for verb in verbs_of(model):
        rows = min(MOST_ROWS, runtime.serving.max_batch_rows)
        call = runtime.example(verb, rows, seed=SEEDS[0])
        alone = _run(runtime, call)
        if verb in ("sample", "decode"):
            _check_event(alone, model.event, verb)
        if verb == "sample":
            _check_random(runtime, call, alone)
        _check_places(runtime, call, alone)
        yield


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
        if name in static_names(model.Options):
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


def row_bytes(rows: NDArray[Any] | list[bytes] | list[str]) -> int:
    """Bytes of one row of a result."""
    return max(map(len, rows)) if isinstance(rows, list) else rows.nbytes // len(rows)


def _run(runtime: "Runtime", call: Call) -> NDArray[Any]:
    (results,) = runtime.run([Slice(call, 0, call.row_count)])
    return np.asarray(results[VERBS[call.verb].output])


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


def _check_random(runtime: "Runtime", call: Call, samples: NDArray[Any]) -> None:
    again = _run(runtime, call)
    if not _agree(runtime, samples, again):
        raise PluginError("One seed gave two different samples: all randomness must come from the noise object.")
    other = _run(runtime, runtime.example("sample", call.row_count, seed=SEEDS[1]))
    if np.array_equal(samples, other):
        raise PluginError("Two seeds gave the same samples: a generative model is a distribution, not a constant.")


def _check_places(runtime: "Runtime", call: Call, alone: NDArray[Any]) -> None:
    """Runs the same rows in the smallest batch, and after neighbours with other options, inputs and noise."""
    room = runtime.serving.max_batch_rows - call.row_count
    batches = [[Slice(call, 0, 1)]]
    if room > 0:
        neighbours = runtime.example(call.verb, room, other_options(runtime.model), seed=SEEDS[1])
        batches.append([Slice(neighbours, 0, room), Slice(call, 0, call.row_count)])
    for batch in batches:
        results = runtime.run(batch)[-1]
        rows = np.asarray(results[VERBS[call.verb].output])
        if not _agree(runtime, alone[: len(rows)], rows):
            difference = float(np.max(np.abs(alone[: len(rows)].astype(np.float64) - rows.astype(np.float64))))
            raise PluginError(
                f"`{call.verb}` gave the same row other results at another place of a batch: they differ by "
                f"{difference:.3g}. Rows of a batch may not depend on each other."
            )


def _agree(runtime: "Runtime", left: NDArray[Any], right: NDArray[Any]) -> bool:
    if runtime.model.determinism is Determinism.BITWISE or left.dtype.kind not in "fc":
        return np.array_equal(left, right)
    return bool(np.allclose(left, right, rtol=runtime.model.tolerance, atol=runtime.model.tolerance))
