"""The discriminators of the class-conditional GAN.

As in Projected GAN (Sauer et al. 2021, arXiv:2111.01007): heads on the features of frozen networks, next to one plain
discriminator of the pixels, all conditioned by projection (Miyato & Koyama 2018, arXiv:1802.05637).

Written with Keras layers and `keras.ops`, so they run on any Keras backend.
"""

from collections.abc import Sequence

import keras
from keras import layers, ops

from genservice_gan.activation import GAIN, activate

_LOGIT_GAIN = 4.0
_EPSILON = 1e-8


class SpectralDense(layers.Layer):
    """A fully connected layer with a spectrally normalised kernel (Miyato et al. 2018, arXiv:1802.05957, alg. 1)."""

    def __init__(self, units: int, *, use_bias: bool = True, activate: bool = False, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            units: Size of the output.
            use_bias: Whether to add a bias.
            activate: Whether to apply the scaled leaky ReLU.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._units = units
        self._use_bias = use_bias
        self.activate = activate

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._add_kernel((inputs_shape[-1], self._units))

    def _add_kernel(self, shape: tuple[int, ...]) -> None:
        """Creates the kernel, the bias and the estimate of the first singular vector."""
        self._kernel = self.add_weight(shape=shape, initializer="orthogonal", name="kernel")
        self._bias = self.add_weight(shape=(self._units,), initializer="zeros", name="bias") if self._use_bias else None
        self._vector = self.add_weight(
            shape=(1, self._units), initializer="random_normal", trainable=False, name="singular_vector"
        )
        self.built = True

    def _normalised_kernel(self, training: bool) -> keras.KerasTensor:
        """Returns W / sigma(W) (eq. 8) times the gain, after one power iteration if training (alg. 1, step 1)."""
        matrix = ops.reshape(self._kernel, (-1, self._units))
        left = _unit(ops.matmul(self._vector, ops.transpose(matrix)))
        right = _unit(ops.matmul(left, matrix))
        left, right = ops.stop_gradient(left), ops.stop_gradient(right)
        if training:
            self._vector.assign(right)
        gain = GAIN if self.activate else 1.0
        return self._kernel * (gain / ops.sum(ops.matmul(left, matrix) * right))

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Multiplies.

        Args:
            inputs: Float32 `[batch, ..., channels]`.
            training: Whether to refine the estimate of the singular vector.

        Returns:
            Float32 `[batch, ..., units]`.
        """
        return self._finish(ops.matmul(inputs, self._normalised_kernel(training)))

    def _finish(self, outputs: keras.KerasTensor) -> keras.KerasTensor:
        """Adds the bias and applies the activation, where there is one."""
        outputs = outputs if self._bias is None else outputs + self._bias
        return activate(outputs) if self.activate else outputs


class SpectralConv2D(SpectralDense):
    """A convolution with a spectrally normalised kernel, taken as a matrix of output channels by all else."""

    def __init__(self, filters: int, kernel_size: int, *, strides: int = 1, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            filters: Number of output channels.
            kernel_size: Height and width of the kernel.
            strides: Step between outputs.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(filters, **kwargs)
        self._size = kernel_size
        self._strides = strides

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._add_kernel((self._size, self._size, inputs_shape[-1], self._units))

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Convolves float32 `[batch, height, width, channels]`; see `SpectralDense.call`."""
        kernel = self._normalised_kernel(training)
        return self._finish(ops.conv(inputs, kernel, strides=self._strides, padding="same"))


def _unit(vector: keras.KerasTensor) -> keras.KerasTensor:
    """Scales a row vector to length one."""
    return vector / (ops.norm(vector) + _EPSILON)


class MinibatchDeviation(layers.Layer):
    """Adds the features' standard deviation over small groups as a channel (Karras et al. 2018, section 3).

    The groups are runs of neighbouring rows. Where a run holds one label, the discriminator sees how much the samples
    of that label differ, which keeps the generator from collapsing within a label.
    """

    def __init__(self, group_size: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            group_size: Rows in a group; must divide the batch size.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._group_size = group_size

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Appends the deviation.

        Args:
            inputs: Float32 `[batch, height, width, channels]`.

        Returns:
            Float32 `[batch, height, width, channels + 1]`.
        """
        _, height, width, channels = inputs.shape
        groups = ops.reshape(inputs, (-1, self._group_size, height, width, channels))
        deviations = ops.sqrt(ops.var(groups, axis=1) + _EPSILON)
        mean = ops.mean(deviations, axis=(1, 2, 3))
        tiled = ops.reshape(ops.repeat(mean, self._group_size), (-1, 1, 1, 1)) * ops.ones_like(inputs[..., :1])
        return ops.concatenate([inputs, tiled], axis=-1)


def _project(features: keras.KerasTensor, one_hot: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Returns the conditional logits <V y, features> + psi(features) (Miyato & Koyama 2018, eq. 3), times a gain.

    Spectral normalisation bounds how steep the logits are. The gain loosens the bound: with a gain of 1 the hinge loss
    never leaves its linear part, and the discriminator loses.
    """
    channels = features.shape[-1]
    embedded = SpectralDense(channels, use_bias=False, name=f"{name}_label")(one_hot)
    if len(features.shape) == 4:
        embedded = layers.Reshape((1, 1, channels), name=f"{name}_label_map")(embedded)
    agreement = ops.sum(features * embedded, axis=-1, keepdims=True)
    return (SpectralDense(1, name=f"{name}_logits")(features) + agreement) * _LOGIT_GAIN


def build_pixel_discriminator(
    image_shape: tuple[int, int, int],
    num_classes: int,
    filters: Sequence[int] = (48, 96),
    group_size: int = 4,
    name: str = "pixel_discriminator",
) -> keras.Model:
    """Builds a discriminator of images with spectral normalisation and minibatch deviation.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of labels.
        filters: Channels at a half and a quarter of the resolution.
        group_size: Rows compared by the minibatch deviation; must divide the batch size.
        name: Name of the model.

    Returns:
        A model from images, float32 `[batch, *image_shape]` in [-1, 1], and labels, float32 one-hot
        `[batch, num_classes]`, to logits, float32 `[batch, 1]`: high for real images of the label.
    """
    images = keras.Input(image_shape, name="images")
    one_hot = keras.Input((num_classes,), name="labels")
    half, quarter = filters
    hidden = SpectralConv2D(half, 4, strides=2, activate=True, name="conv14_0")(images)
    hidden = SpectralConv2D(half, 3, activate=True, name="conv14_1")(hidden)
    hidden = SpectralConv2D(quarter, 4, strides=2, activate=True, name="conv7_0")(hidden)
    hidden = SpectralConv2D(quarter, 3, activate=True, name="conv7_1")(hidden)
    hidden = MinibatchDeviation(group_size, name="minibatch_deviation")(hidden)
    hidden = SpectralConv2D(quarter, 3, strides=2, activate=True, name="conv4")(hidden)
    hidden = layers.Flatten(name="flatten")(hidden)
    hidden = SpectralDense(quarter, activate=True, name="dense")(hidden)
    return keras.Model((images, one_hot), _project(hidden, one_hot, "projection"), name=name)


def build_feature_discriminator(
    feature_shapes: Sequence[tuple[int, ...]],
    num_classes: int,
    filters: int = 64,
    name: str = "feature_discriminator",
) -> keras.Model:
    """Builds one small discriminator for each output of the frozen feature networks (Sauer et al. 2021, section 3.2).

    Args:
        feature_shapes: Shapes without the batch: `(height, width, channels)` or `(channels,)`.
        num_classes: Number of labels.
        filters: Channels of the heads.
        name: Name of the model.

    Returns:
        A model from a list of features, float32 `[batch, *shape]` each, and labels, float32 one-hot
        `[batch, num_classes]`, to a list of logits, float32 `[batch, ..., 1]` each.
    """
    one_hot = keras.Input((num_classes,), name="labels")
    features = [keras.Input(shape, name=f"features{index}") for index, shape in enumerate(feature_shapes)]
    logits = []
    for index, hidden in enumerate(features):
        head = f"head{index}"
        if len(hidden.shape) == 4:
            strides = 2 if hidden.shape[1] > 7 else 1
            hidden = SpectralConv2D(filters, 2 + strides, strides=strides, activate=True, name=f"{head}_conv0")(hidden)
            hidden = SpectralConv2D(filters, 3, strides=2, activate=True, name=f"{head}_conv1")(hidden)
        else:
            hidden = SpectralDense(2 * filters, activate=True, name=f"{head}_dense0")(hidden)
            hidden = SpectralDense(2 * filters, activate=True, name=f"{head}_dense1")(hidden)
        logits.append(_project(hidden, one_hot, head))
    return keras.Model((features, one_hot), logits, name=name)


def build_feature_networks(image_shape: tuple[int, int, int], num_classes: int) -> list[keras.Model]:
    """Builds the two classifiers whose features the discriminator looks at, once trained and frozen.

    They differ in kernel size, activation and pooling, so that what fools one need not fool the other.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of labels.

    Returns:
        Models from images, float32 `[batch, *image_shape]` in [-1, 1], to a list of float32 tensors: feature maps
        `[batch, height, width, channels]`, then a feature vector `[batch, channels]`, and last the logits
        `[batch, num_classes]`.
    """
    return [_build_plain_network(image_shape, num_classes), _build_wide_network(image_shape, num_classes)]


def _convolve(
    hidden: keras.KerasTensor, filters: int, size: int, strides: int, activation: str, name: str
) -> keras.KerasTensor:
    """Applies a convolution, batch normalisation and an activation."""
    hidden = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, name=f"{name}_conv")(hidden)
    hidden = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(hidden)
    return layers.Activation(activation, name=f"{name}_{activation}")(hidden)


def _build_plain_network(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds a network of 3x3 convolutions, ReLU and global average pooling."""
    images = keras.Input(image_shape, name="images")
    hidden = _convolve(images, 24, 3, 1, "relu", "conv28")
    hidden = _convolve(hidden, 48, 3, 2, "relu", "conv14_0")
    shallow = _convolve(hidden, 48, 3, 1, "relu", "conv14_1")
    hidden = _convolve(shallow, 96, 3, 2, "relu", "conv7_0")
    deep = _convolve(hidden, 128, 3, 1, "relu", "conv7_1")
    vector = layers.GlobalAveragePooling2D(name="pool")(deep)
    logits = layers.Dense(num_classes, name="logits")(vector)
    return keras.Model(images, [shallow, deep, vector, logits], name="plain_features")


def _build_wide_network(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds a network of 5x5 convolutions, SiLU and a fully connected layer."""
    images = keras.Input(image_shape, name="images")
    shallow = _convolve(images, 48, 5, 2, "silu", "conv14")
    deep = _convolve(shallow, 64, 5, 2, "silu", "conv7")
    hidden = layers.Flatten(name="flatten")(deep)
    hidden = layers.Dense(128, use_bias=False, name="dense")(layers.Dropout(0.2, name="dropout")(hidden))
    hidden = layers.BatchNormalization(momentum=0.95, name="dense_norm")(hidden)
    vector = layers.Activation("silu", name="dense_silu")(hidden)
    logits = layers.Dense(num_classes, name="logits")(vector)
    return keras.Model(images, [shallow, deep, vector, logits], name="wide_features")
