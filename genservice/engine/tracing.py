"""How a verb becomes a function of arrays: traced by TensorFlow, or as it is."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from genservice.engine.verbs import input_specs
from genservice.model.base import Classifier, Embedder, Generator, Latent, Model, Scorer
from genservice.model.noise import Noise, Ops, TensorFlowOps
from genservice.model.options import OptionScalar

Columns = Mapping[str, "np.dtype[Any] | None"]
"""Type of each per-row option; None for strings."""

Function = Callable[..., Any]
"""Takes option columns, inputs and, for draws, seed words and index words; returns one array."""


def invoke(model: Model, verb: str, options: Any, inputs: Mapping[str, Any], noise: Noise | None) -> Any:
    """Calls the method of a verb; probabilities come back as logits."""
    if verb == "sample":
        return cast("Generator", model).sample(cast("Noise", noise), options, inputs)
    rows = inputs["inputs"]
    methods: dict[str, Callable[[], Any]] = {
        "classify": lambda: cast("Classifier", model).logits(rows, options),
        "score": lambda: cast("Scorer", model).log_prob(rows, options),
        "encode": lambda: cast("Latent", model).encode(rows, options),
        "decode": lambda: cast("Latent", model).decode(rows, options),
        "embed": lambda: cast("Embedder", model).embed(rows, options),
    }
    return methods[verb]()


class Traced:
    """Traces verbs with `tf.function`, once for all batch sizes, or once a size where XLA compiles.

    Args:
        jit_compile: Whether XLA compiles.
        threads: Threads of one operation; 0: one a core.
    """

    def __init__(self, jit_compile: bool, threads: int) -> None:
        import tensorflow as tf

        self._tf = tf
        self._jit_compile = jit_compile
        if threads:
            try:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
            except RuntimeError:
                # TensorFlow has started: the number can no longer change, and what it is goes into the fingerprint.
                threads = tf.config.threading.get_intra_op_parallelism_threads()
        self._threads = threads or len(os.sched_getaffinity(0))

    def numerics(self, sizes: Sequence[int]) -> str:
        """What the bits of results depend on."""
        devices = ",".join(sorted({device.device_type for device in self._tf.config.get_visible_devices()}))
        return (
            f"tensorflow {self._tf.__version__}; {devices} {platform.machine()} {_vector_registers()}; "
            f"threads {self._threads}; {'xla' if self._jit_compile else 'graph'}; "
            f"batch {','.join(map(str, sizes))}"
        )

    def function(self, model: Model, verb: str, statics: Mapping[str, OptionScalar], columns: Columns) -> Function:
        """Makes the function of a verb for one value of the static options."""
        tf = self._tf
        ops: Ops = TensorFlowOps()
        option_names = list(columns)
        specs = input_specs(model, verb)
        signature = [tf.TensorSpec([None], columns[name]) for name in option_names]
        signature += [
            tf.TensorSpec([None, *(None if extent == -1 else extent for extent in spec.shape)], spec.dtype)
            for spec in specs.values()
        ]
        if verb == "sample":
            signature += [tf.TensorSpec([None, 2], tf.uint32)] * 2

        def body(*tensors: Any) -> Any:
            options = SimpleNamespace(**dict(zip(option_names, tensors, strict=False)), **statics)
            inputs = dict(zip(specs, tensors[len(option_names) :], strict=False))
            noise = None
            if verb == "sample":
                seeds, indexes = tensors[-2:]
                noise = Noise(seeds, indexes, tf.zeros_like(seeds[:, 0]), ops)
            result = invoke(model, verb, options, inputs, noise)
            return tf.nn.softmax(result) if verb == "classify" else result

        traced = tf.function(
            body,
            input_signature=None if self._jit_compile else signature,
            jit_compile=self._jit_compile,
            autograph=False,
        )

        def function(options: Mapping[str, Any], inputs: Mapping[str, Any], *address: Any) -> Any:
            arrays = [*options.values(), *inputs.values(), *address]
            return traced(*(tf.constant(array) for array in arrays)).numpy()

        return function


class Untraced:
    """Calls verbs as they are, with NumPy arrays."""

    def numerics(self, sizes: Sequence[int]) -> str:
        """What the bits of results depend on."""
        return f"numpy {np.__version__}; {platform.machine()}; batch {','.join(map(str, sizes))}"

    def function(self, model: Model, verb: str, statics: Mapping[str, OptionScalar], columns: Columns) -> Function:
        """Makes the function of a verb for one value of the static options."""
        del columns

        def function(options: Mapping[str, Any], inputs: Mapping[str, Any], *address: Any) -> Any:
            noise = None
            if address:
                seeds, indexes = address
                noise = Noise(seeds, indexes, np.zeros(len(seeds), np.uint32))
            result = np.asarray(invoke(model, verb, SimpleNamespace(**options, **statics), inputs, noise))
            if verb != "classify":
                return result
            powers = np.exp(result - result.max(axis=-1, keepdims=True))
            return powers / powers.sum(axis=-1, keepdims=True)

        return function


def _vector_registers() -> str:
    """The widest vector instructions of this machine, which choose among a library's kernels."""
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - a system file
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return "unknown"
    return next((name for name in ("avx512_bf16", "avx512f", "avx2", "avx", "asimd") if name in flags), "scalar")
