"""The activation of all networks, and its gain."""

import math

import keras
from keras import ops

# The gain of leaky ReLU that keeps the second moment of a standard normal input. Leaky ReLU commutes with positive
# factors, so the layers below fold the gain into their small kernels and norms instead of the large features.
SLOPE = 0.2
GAIN = math.sqrt(2.0 / (1.0 + SLOPE**2))


def activate(hidden: keras.KerasTensor) -> keras.KerasTensor:
    """Applies leaky ReLU without the gain, which the layer before must have applied."""
    return ops.leaky_relu(hidden, negative_slope=SLOPE)
