"""Layers that keep the magnitude of what passes through them: EDM2 (Karras et al. 2024, arXiv:2312.02696).

Every layer is written so that inputs of unit variance give outputs of unit variance. The network then needs neither
biases nor group normalisation, whose passes over the features cost as much as a convolution on a processor.

Written with Keras layers and `keras.ops`, so they run on any Keras backend.
"""

import math

import keras
from keras import layers, ops

_EPSILON = 1e-4
_SILU_MAGNITUDE = 0.596
RESIDUAL_WEIGHT = 0.3


def normalise(tensor: keras.KerasTensor, axis: int | tuple[int, ...]) -> keras.KerasTensor:
    """Scales vectors to a mean square of one (EDM2, eq. 66).

    Args:
        tensor: Float.
        axis: The dimensions that make up one vector.
    """
    return tensor * ops.rsqrt(ops.mean(ops.square(tensor), axis=axis, keepdims=True) + _EPSILON)


def mp_silu(hidden: keras.KerasTensor) -> keras.KerasTensor:
    """SiLU over its magnitude on standard normal inputs (EDM2, eq. 81)."""
    return ops.silu(hidden) * (1.0 / _SILU_MAGNITUDE)


def mp_sum(one: keras.KerasTensor, other: keras.KerasTensor, weight: float) -> keras.KerasTensor:
    """Interpolates, and scales so that the magnitude of independent inputs is kept (EDM2, eq. 88)."""
    scale = 1.0 / math.hypot(1.0 - weight, weight)
    return one * ((1.0 - weight) * scale) + other * (weight * scale)


class MPDense(layers.Layer):
    """A fully connected layer without bias, whose outputs each have a weight vector of length one (EDM2, eq. 47)."""

    def __init__(self, units: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            units: Size of the output.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._units = units

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._add_kernel((inputs_shape[-1], self._units))

    def _add_kernel(self, shape: tuple[int, ...]) -> None:
        """Creates the kernel, of elements that are about one: Adam's steps are then relative."""
        self._fan_in = math.prod(shape[:-1])
        # Without autocast: the normalisation is done in float32 whatever the layer computes in.
        self.kernel = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), autocast=False, name="kernel"
        )
        self.built = True

    def normalised_kernel(self) -> keras.KerasTensor:
        """The kernel with a mean square of one for each output."""
        return normalise(self.kernel, tuple(range(len(self.kernel.shape) - 1)))

    def _unit_kernel(self, dtype: str) -> keras.KerasTensor:
        """The kernel that is computed with."""
        return ops.cast(self.normalised_kernel() * (1.0 / math.sqrt(self._fan_in)), dtype)

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Multiplies float `[..., channels]`, giving `[..., units]`."""
        return ops.matmul(inputs, self._unit_kernel(inputs.dtype))


class MPConv2D(MPDense):
    """A convolution without bias, whose outputs each have a kernel of length one (EDM2, eq. 47)."""

    def __init__(self, filters: int, kernel_size: int, *, strides: int = 1, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            filters: Number of output channels.
            kernel_size: Height and width of the kernel.
            strides: Step between outputs.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(filters, **kwargs)
        self._kernel_size = kernel_size
        self._strides = strides

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._add_kernel((self._kernel_size, self._kernel_size, inputs_shape[-1], self._units))

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Convolves float `[batch, height, width, channels]`."""
        return ops.conv(inputs, self._unit_kernel(inputs.dtype), strides=self._strides, padding="same")


class Upsample(MPDense):
    """Doubles height and width: each pixel becomes a square of four by one matrix each (Shi et al. 2016, section 2)."""

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._add_kernel((inputs_shape[-1], 4 * self._units))

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Enlarges float `[batch, height, width, channels]` to `[batch, 2 height, 2 width, units]`."""
        _, height, width, _ = inputs.shape
        squares = ops.reshape(super().call(inputs), (-1, height, width, 2, 2, self._units))
        return ops.reshape(ops.transpose(squares, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, self._units))


class Attention(layers.Layer):
    """Self-attention over the pixels with cosine similarity, added to its input, as in EDM2."""

    def __init__(self, channels: int, heads: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            channels: Channels of the features.
            heads: Number of heads; divides the channels.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._channels = channels
        self._heads = heads
        self._qkv = MPDense(3 * channels, dtype=self.dtype_policy, name="qkv")
        self._out = MPDense(channels, dtype=self.dtype_policy, name="out")

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._qkv.build(inputs_shape)
        self._out.build(inputs_shape)
        self.built = True

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Attends within float `[batch, height, width, channels]`."""
        _, height, width, channels = inputs.shape
        qkv = ops.reshape(self._qkv(inputs), (-1, height * width, 3, self._heads, channels // self._heads))
        qkv = ops.transpose(normalise(qkv, -1), (2, 0, 3, 1, 4))
        queries, keys, values = qkv[0], qkv[1], qkv[2]
        logits = ops.matmul(queries, ops.swapaxes(keys, -1, -2)) * (1.0 / math.sqrt(channels // self._heads))
        attended = ops.matmul(ops.softmax(logits, axis=-1), values)
        attended = ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), (-1, height, width, channels))
        return mp_sum(inputs, self._out(attended), RESIDUAL_WEIGHT)


class ResidualBlock(layers.Layer):
    """Two convolutions with the noise level and the label in between, added to their input, as in EDM2."""

    def __init__(self, channels: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            channels: Channels of input, output and all between.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._first = MPConv2D(channels, 3, dtype=self.dtype_policy, name="conv0")
        self._second = MPConv2D(channels, 3, dtype=self.dtype_policy, name="conv1")
        self._scale = MPDense(channels, dtype="float32", name="scale")

    def build(self, inputs_shape: tuple[int | None, ...], embedded_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._first.build(inputs_shape)
        self._second.build(inputs_shape)
        self._scale.build(embedded_shape)
        self._gain = self.add_weight(shape=(1,), initializer="zeros", autocast=False, name="gain")
        self.built = True

    def call(self, inputs: keras.KerasTensor, embedded: keras.KerasTensor) -> keras.KerasTensor:
        """Transforms features.

        Args:
            inputs: Float `[batch, height, width, channels]`.
            embedded: The noise level and the label, float32 `[batch, size]`.
        """
        scales = ops.cast(1.0 + self._gain * self._scale(embedded), inputs.dtype)
        hidden = self._first(mp_silu(inputs)) * scales[:, None, None, :]
        return mp_sum(inputs, self._second(mp_silu(hidden)), RESIDUAL_WEIGHT)
