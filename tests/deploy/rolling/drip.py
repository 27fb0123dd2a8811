"""A model that takes its time, and needs next to nothing else."""

import time

import numpy as np

from genservice import Classifier, Determinism, Generator, TensorSpec, hookimpl

PAUSE_S = 0.04


class Drip(Generator, Classifier):
    """Normal numbers, a batch each `PAUSE_S` seconds; tells positive numbers from others at once."""

    family = "drip"
    traced = False
    event = TensorSpec((16,))
    labels = ("positive", "other")
    determinism = Determinism.BITWISE

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        time.sleep(PAUSE_S)
        return noise.normal("z", (16,))

    def logits(self, inputs, options):
        return np.stack([inputs[:, 0], -inputs[:, 0]], axis=1)


@hookimpl
def genservice_register_families():
    """The one."""
    return [Drip]
