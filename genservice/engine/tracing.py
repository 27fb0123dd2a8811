"""How a function of a model becomes one of arrays: traced by TensorFlow, or as it is."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Batch
from genservice.engine.gather import Columns, input_columns, option_columns
from genservice.engine.verbs import VERBS, model_specs
from genservice.model.base import (
    Classifier,
    Embedder,
    Generator,
    IterativeGenerator,
    LabellingScorer,
    Latent,
    Model,
    Predictor,
    Retriever,
    Scorer,
    Sequences,
    Tagger,
)
from genservice.model.noise import Noise, Ops, TensorFlowOps
from genservice.model.options import OptionScalar
from genservice.model.specs import TensorSpec

Function = Callable[..., Any]
"""Takes option columns, inputs and, for draws, seed words and index words; returns arrays by name."""


def invoke(
    model: Model,
    function: str,
    options: Any,
    inputs: Mapping[str, Any],
    noise: Noise | None,
    softmax: Callable[[Any], Any],
) -> Mapping[str, Any]:
    """Calls the method of a function; its results by name."""
    verb, _, signature = function.partition(":")
    if verb == "predict":
        return cast("Predictor", model).predict(signature, inputs, options)
    if verb == "sample":
        return {"samples": cast("Generator", model).sample(cast("Noise", noise), options, inputs)}
    rows = inputs["inputs"]
    sequences = Sequences(rows, inputs["lengths"]) if isinstance(model, Tagger) and "lengths" in inputs else None
    methods: dict[str, Callable[[], Any]] = {
        "classify": lambda: softmax(cast("Classifier", model).logits(rows, options)),
        "score": lambda: cast("Scorer", model).log_prob(rows, options),
        "encode": lambda: cast("Latent", model).encode(rows, options),
        "decode": lambda: cast("Latent", model).decode(rows, options),
        "embed": lambda: cast("Embedder", model).embed(rows, options),
        # All rows of the batch ask for as many.
        "neighbours": lambda: cast("Retriever", model).neighbours(rows, inputs["k"][0], options),
    }
    if sequences is not None:
        tagger = cast("LabellingScorer", model)
        methods["tag"] = lambda: tagger.tag(sequences, options)
        methods["score"] = lambda: tagger.labelling_log_prob(sequences, inputs["labels"], options)
    result, outputs = methods[verb](), VERBS[verb].outputs
    return dict(zip(outputs, result if len(outputs) > 1 else (result,), strict=True))


class Traced:
    """Traces functions with `tf.function`, once for all batch sizes, or once a size where XLA compiles.

    Args:
        jit_compile: Whether XLA compiles.
        threads: Threads of one operation; 0: one a core.

    Attributes:
        pinned: Whether that is the number of threads that TensorFlow has.
    """

    def __init__(self, jit_compile: bool, threads: int) -> None:
        import tensorflow as tf

        self._tf = tf
        self._jit_compile = jit_compile
        cores = len(os.sched_getaffinity(0))
        self._threads = threads or cores
        try:
            tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        except RuntimeError:
            # TensorFlow has started: the number can no longer change, and what it is goes into the fingerprint.
            self._threads = tf.config.threading.get_intra_op_parallelism_threads() or cores
        self.pinned = self._threads == (threads or cores)

    def numerics(self, sizes: Sequence[int]) -> str:
        """What the bits of results depend on."""
        devices = ",".join(sorted({device.device_type for device in self._tf.config.get_visible_devices()}))
        return (
            f"tensorflow {self._tf.__version__}; {devices} {platform.machine()} {_vector_registers()}; "
            f"threads {self._threads}; {'xla' if self._jit_compile else 'graph'}; "
            f"batch {','.join(map(str, sizes))}"
        )

    def function(self, model: Model, name: str, statics: Mapping[str, OptionScalar], columns: Columns) -> Function:
        """Makes a function of a model for one value of the static options."""
        tf = self._tf
        ops: Ops = TensorFlowOps()
        option_names = list(columns)
        specs = model_specs(model, name)
        signature = self._signature(columns, specs)
        if name == "sample":
            signature += [tf.TensorSpec([None, 2], tf.uint32)] * 2

        def body(*tensors: Any) -> Any:
            options = SimpleNamespace(**dict(zip(option_names, tensors, strict=False)), **statics)
            inputs = dict(zip(specs, tensors[len(option_names) :], strict=False))
            noise = None
            if name == "sample":
                seeds, indexes = tensors[-2:]
                noise = Noise(seeds, indexes, tf.zeros_like(seeds[:, 0]), ops)
            return invoke(model, name, options, inputs, noise, tf.nn.softmax)

        graph = Graph(tf, body, None if self._jit_compile else signature)
        return lambda options, inputs, *address: graph(*options.values(), *inputs.values(), *address)

    def slots(self, model: IterativeGenerator, slots: int, columns: Columns) -> "TracedSlots":
        """Makes the state and the functions of an iterative model."""
        signature = None if self._jit_compile else self._signature(columns, model_specs(model, "sample"))
        return TracedSlots(self._tf, model, slots, columns, signature)

    def _signature(self, columns: Columns, specs: Mapping[str, TensorSpec]) -> list[Any]:
        """What the option columns and the inputs look like, whatever the number of rows."""
        tf = self._tf
        return [tf.TensorSpec([None], dtype) for dtype in columns.values()] + [
            tf.TensorSpec([None, *(None if extent == -1 else extent for extent in spec.shape)], spec.dtype)
            for spec in specs.values()
        ]


class Graph:
    """A traced function of arrays.

    It is called by the operation with which a graph calls another. `tf.function` would look for a trace that fits, and
    bind arguments to names: three times the time of a small model, in Python.

    Args:
        tf: TensorFlow.
        function: Takes tensors, returns tensors.
        signature: What the tensors look like; None: it is traced for each of the shapes that come, and compiled by XLA.
    """

    def __init__(self, tf: Any, function: Callable[..., Any], signature: Sequence[Any] | None) -> None:
        self._tf = tf
        self._signature = signature
        if signature is None:
            # What a graph calls is compiled, not what is called so from outside.
            compiled = tf.function(function, autograph=False, jit_compile=True)
            self._function = tf.function(lambda *tensors: compiled(*tensors), autograph=False)
        else:
            self._function = tf.function(function, autograph=False)
        self._traces: dict[tuple[tuple[int, ...], ...], Any] = {}

    def __call__(self, *arrays: NDArray[Any]) -> Any:
        """Calls the function; gives arrays in the structure of what it returns."""
        shapes = tuple(array.shape for array in arrays) if self._signature is None else ()
        trace = self._traces.get(shapes)
        if trace is None:
            signature = self._signature or [self._tf.TensorSpec(array.shape, array.dtype) for array in arrays]
            trace = self._traces[shapes] = self._function.get_concrete_function(*signature)
        given = self._tf.raw_ops.StatefulPartitionedCall(
            args=[*arrays, *trace.captured_inputs], Tout=[output.dtype for output in trace.outputs], f=trace
        )
        if not given:
            return None
        return self._tf.nest.pack_sequence_as(trace.structured_outputs, [tensor.numpy() for tensor in given])


class TracedSlots:
    """The steps of an iterative model, traced; its state stays in TensorFlow's variables.

    Args:
        tf: TensorFlow.
        model: The model, loaded.
        slots: The most rows at a time.
        columns: Types of the options.
        signature: Of options and inputs; None: traced for each size, and compiled by XLA.
    """

    def __init__(self, tf: Any, model: IterativeGenerator, slots: int, columns: Columns, signature: Any) -> None:
        self._tf = tf
        self._columns = columns
        self._state = state = model.allocate(slots)
        self._specs = specs = list(model_specs(model, "sample"))
        ops: Ops = TensorFlowOps()
        address = [tf.TensorSpec([None, 2], tf.uint32)] * 2
        places = tf.TensorSpec([None], tf.int32)

        def enter(slots: Any, seeds: Any, indexes: Any, *tensors: Any) -> None:
            noise = Noise(seeds, indexes, tf.zeros_like(seeds[:, 0]), ops)
            options = SimpleNamespace(**dict(zip(columns, tensors, strict=False)))
            model.enter(state, slots, noise, options, dict(zip(specs, tensors[len(columns) :], strict=True)))

        def step(active: int, seeds: Any, indexes: Any, steps: Any) -> Any:
            return model.step(state, Noise(seeds, indexes, steps, ops), active)

        def move(sources: Any, targets: Any) -> None:
            for variable in state.values():
                variable.scatter_update(tf.IndexedSlices(tf.gather(variable, sources), targets))

        compiled = signature is None
        numbers = [*address, tf.TensorSpec([None], tf.uint32)]
        self._step = _ForEachSize(lambda size: Graph(tf, partial(step, size), None if compiled else numbers))
        self._enter = Graph(tf, enter, None if compiled else [places, *address, *signature])
        self._finish = Graph(tf, partial(model.finish, state), None if compiled else [places])
        # Plain copies: their bits need no compiler.
        self._move = Graph(tf, move, [places, places])

    def enter(
        self, slots: NDArray[np.int32], seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], batch: Batch
    ) -> None:
        """Writes the rows of a batch, padded to as many as there are slots, into these slots."""
        options, inputs = option_columns(batch, len(slots), self._columns), input_columns(batch, len(slots))
        self._enter(slots, seeds, indexes, *options.values(), *inputs.values())

    def step(
        self, size: int, seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], steps: NDArray[np.uint32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32] | None]:
        """Makes a step of the first slots: which rows are done and, for texts, the tokens that they got."""
        told = self._step[size](seeds, indexes, steps)
        done, tokens = told if isinstance(told, (tuple, list)) else (told, None)
        return done, tokens

    def finish(self, slots: NDArray[np.int32]) -> NDArray[Any]:
        """The samples of slots."""
        return cast("NDArray[Any]", self._finish(slots))

    def move(self, sources: NDArray[np.int32], targets: NDArray[np.int32]) -> None:
        """Copies the rows of slots into other slots."""
        self._move(sources, targets)


class _ForEachSize(dict[int, Graph]):
    """A function for each size, made when it is first asked for."""

    def __init__(self, make: Callable[[int], Graph]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, size: int) -> Graph:
        function = self[size] = self._make(size)
        return function


class Untraced:
    """Calls functions as they are, with NumPy arrays."""

    pinned = True

    def numerics(self, sizes: Sequence[int]) -> str:
        """What the bits of results depend on."""
        return f"numpy {np.__version__}; {platform.machine()}; batch {','.join(map(str, sizes))}"

    def function(self, model: Model, name: str, statics: Mapping[str, OptionScalar], columns: Columns) -> Function:
        """Makes a function of a model for one value of the static options."""
        del columns

        def function(options: Mapping[str, Any], inputs: Mapping[str, Any], *address: Any) -> Any:
            noise = None
            if address:
                seeds, indexes = address
                noise = Noise(seeds, indexes, np.zeros(len(seeds), np.uint32))
            results = invoke(model, name, SimpleNamespace(**options, **statics), inputs, noise, _softmax)
            return {output: np.asarray(result) for output, result in results.items()}

        return function

    def slots(self, model: IterativeGenerator, slots: int, columns: Columns) -> "ArraySlots":
        """Makes the state and the functions of an iterative model."""
        return ArraySlots(model, slots, columns)


class ArraySlots:
    """The steps of an iterative model as they are; its state is NumPy arrays.

    Args:
        model: The model, loaded.
        slots: The most rows at a time.
        columns: Types of the options.
    """

    def __init__(self, model: IterativeGenerator, slots: int, columns: Columns) -> None:
        self._model = model
        self._columns = columns
        self._state = model.allocate(slots)

    def enter(
        self, slots: NDArray[np.int32], seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], batch: Batch
    ) -> None:
        """Writes the rows of a batch, padded to as many as there are slots, into these slots."""
        noise = Noise(seeds, indexes, np.zeros(len(slots), np.uint32))
        options = SimpleNamespace(**option_columns(batch, len(slots), self._columns))
        self._model.enter(self._state, slots, noise, options, input_columns(batch, len(slots)))

    def step(
        self, size: int, seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], steps: NDArray[np.uint32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32] | None]:
        """Makes a step of the first slots: which rows are done and, for texts, the tokens that they got."""
        told = self._model.step(self._state, Noise(seeds, indexes, steps), size)
        return told if isinstance(told, tuple) else (np.asarray(told), None)

    def finish(self, slots: NDArray[np.int32]) -> NDArray[Any]:
        """The samples of slots."""
        return np.asarray(self._model.finish(self._state, slots))

    def move(self, sources: NDArray[np.int32], targets: NDArray[np.int32]) -> None:
        """Copies the rows of slots into other slots."""
        for array in self._state.values():
            array[targets] = array[sources]


def _softmax(logits: Any) -> NDArray[Any]:
    """Probabilities `[batch, labels]`."""
    powers = np.exp(np.asarray(logits) - np.max(logits, axis=-1, keepdims=True))
    return cast("NDArray[Any]", powers / powers.sum(axis=-1, keepdims=True))


def _vector_registers() -> str:
    """The widest vector instructions of this machine, which choose among a library's kernels."""
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - a system file
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return "unknown"
    return next((name for name in ("avx512_bf16", "avx512f", "avx2", "avx", "asimd") if name in flags), "scalar")
