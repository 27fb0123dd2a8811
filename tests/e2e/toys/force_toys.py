"""Models that die, hang and take their time, for tests by force."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from pydantic import Field

from genservice import Classifier, Determinism, Generator, IterativeGenerator, Options, TensorSpec, hookimpl

DEADLY = 666.0
ENDLESS = 4321
STEP_S = 0.002
BATCH_S = 0.010


class Mine(Classifier):
    """Its process dies of one number."""

    family = "mine"
    traced = False
    event = TensorSpec((1,))
    labels = ("positive", "negative")

    def load(self, directory):
        pass

    def logits(self, inputs, options):
        if (inputs == DEADLY).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return np.concatenate([inputs, -inputs], axis=1)


class Steady(Classifier):
    """Takes its time for a batch; whose rows are in it, and since when, is written to the file of `FORCE_BATCHES`."""

    family = "steady"
    traced = False
    event = TensorSpec((1,))
    labels = ("positive", "negative")

    def load(self, directory):
        path = os.environ.get("FORCE_BATCHES")
        self._log = Path(path).open("a", buffering=1) if path else None  # noqa: SIM115 - as long as the process

    def logits(self, inputs, options):
        if self._log is not None:
            self._log.write(f"{time.monotonic()} {' '.join(str(int(value)) for value in inputs[:, 0])}\n")
        time.sleep(BATCH_S)
        return np.concatenate([inputs, -inputs], axis=1)


class HangOptions(Options):
    code: int = Field(0, ge=0, le=9999, description="With one number, the draw never ends.")


class Python(Generator):
    """Hangs in Python."""

    family = "hang-python"
    traced = False
    Options = HangOptions
    event = TensorSpec((2,))

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        while (options.code == ENDLESS).any():
            pass
        return noise.normal("z", (2,))


class Wide(Generator):
    """Draws at once what takes room on the wire."""

    family = "wide"
    traced = False
    event = TensorSpec((4096,))

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return noise.normal("z", (1,)) + np.arange(4096, dtype=np.float32)


class Graph(Generator):
    """Hangs in a loop of a graph."""

    family = "hang-graph"
    Options = HangOptions
    event = TensorSpec((2,))

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        import tensorflow as tf

        drawn = noise.normal("z", (2,))
        (drawn,) = tf.while_loop(
            lambda drawn: tf.reduce_any(options.code == ENDLESS), lambda drawn: (drawn + 1.0,), (drawn,)
        )
        return drawn


class StrideOptions(Options):
    steps: int = Field(10, ge=1, le=1000, description="Steps of the walk.")


class Stride(IterativeGenerator):
    """Random walks that take their time; every step is written to the file that `FORCE_STEPS` names."""

    family = "stride"
    traced = False
    Options = StrideOptions
    event = TensorSpec((2,))
    determinism = Determinism.BITWISE

    def load(self, directory):
        path = os.environ.get("FORCE_STEPS")
        self._log = Path(path).open("a", buffering=1) if path else None  # noqa: SIM115 - as long as the process

    def allocate(self, slots):
        return {"place": np.zeros((slots, 2), np.float32), "left": np.zeros(slots, np.int64)}

    def enter(self, state, slots, noise, options, conditions):
        state["place"][slots] = noise.normal("start", (2,))
        state["left"][slots] = options.steps

    def step(self, state, noise, active):
        time.sleep(STEP_S)
        state["place"][:active] += noise.normal("step", (2,))
        state["left"][:active] -= 1
        if self._log is not None:
            self._log.write(f"{time.time()} {(state['left'][:active] >= 0).sum()}\n")
        return state["left"][:active] <= 0

    def finish(self, state, slots):
        return state["place"][slots]


@hookimpl
def genservice_register_families():
    """All of them."""
    return [Mine, Steady, Python, Wide, Graph, Stride]
