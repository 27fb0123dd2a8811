"""What a model must show before it is ready: rows that depend on their addresses alone, and samples that are random."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Call, Rows, Slice
from genservice.engine.verbs import VERBS, verbs_of
from genservice.errors import PluginError
from genservice.model.base import Determinism
from genservice.model.specs import TensorSpec

if TYPE_CHECKING:
    from genservice.engine.runtime import Runtime

SEEDS = (1, 2)
MOST_ROWS = 8


def check(runtime: "Runtime") -> None:
    """Checks a warmed-up model.

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


def example_rows(spec: TensorSpec, rows: int) -> Rows:
    """Rows that a spec allows: zeros, or the middle of its bounds."""
    if spec.dtype == "string":
        return [""] * rows
    middle = 0.0 if spec.minimum is None or spec.maximum is None else (spec.minimum + spec.maximum) / 2
    return np.full((rows, *(max(extent, 1) for extent in spec.shape)), middle, spec.dtype)


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
    """Runs the same rows at other places of a batch, with other neighbours, and in the smallest batch."""
    room = runtime.serving.max_batch_rows - call.row_count
    batches = [[Slice(call, 0, 1)]]
    if room > 0:
        neighbours = Slice(runtime.example(call.verb, room, seed=SEEDS[1]), 0, room)
        batches.append([neighbours, Slice(call, 0, call.row_count)])
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
