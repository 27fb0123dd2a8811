"""Networks of the class-conditional GAN: a style-based generator and a projected discriminator.

The generator follows StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) at the size of small grey images. The
discriminator follows Projected GAN (Sauer et al. 2021, arXiv:2111.01007): heads on the features of frozen networks,
next to one plain discriminator of the pixels, all conditioned by projection (Miyato & Koyama 2018, arXiv:1802.05637).

Everything is written with Keras layers and `keras.ops`, so it runs on any Keras backend.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

LATENT_DIM = 64
STYLE_DIM = 128
NUM_CLASSES = 10
IMAGE_SHAPE = (28, 28, 1)

# The gain of leaky ReLU that keeps the second moment of a standard normal input. Leaky ReLU commutes with positive
# factors, so the layers below fold the gain into their small kernels and norms instead of the large features.
_ACTIVATION_SLOPE = 0.2
_ACTIVATION_GAIN = math.sqrt(2.0 / (1.0 + _ACTIVATION_SLOPE**2))
_LOGIT_GAIN = 4.0
_EPSILON = 1e-8


def _activate(hidden: keras.KerasTensor) -> keras.KerasTensor:
    """Applies leaky ReLU without the gain, which the layer before must have applied."""
    return ops.leaky_relu(hidden, negative_slope=_ACTIVATION_SLOPE)


def _normalise(vectors: keras.KerasTensor) -> keras.KerasTensor:
    """Scales the last axis to a mean square of one (Karras et al. 2018, arXiv:1710.10196, section 4.2)."""
    return vectors * ops.rsqrt(ops.mean(ops.square(vectors), axis=-1, keepdims=True) + _EPSILON)


class Mapping(layers.Layer):
    """The mapping network f: (z, label) -> w (Karras et al. 2019, arXiv:1812.04948, section 2), with a label."""

    def __init__(self, num_classes: int, style_dim: int, depth: int = 3, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            num_classes: Number of labels.
            style_dim: Size of w.
            depth: Number of fully connected layers.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._label_embedding = layers.Embedding(num_classes, style_dim, "random_normal", name="label_embedding")
        self._dense_layers = [
            layers.Dense(style_dim, kernel_initializer="lecun_normal", name=f"dense{index}") for index in range(depth)
        ]

    def build(self, latents_shape: tuple[int | None, ...], labels_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._label_embedding.build(labels_shape)
        width = latents_shape[-1] + self._label_embedding.output_dim
        for layer in self._dense_layers:
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, latents: keras.KerasTensor, labels: keras.KerasTensor) -> keras.KerasTensor:
        """Maps latents and labels to w.

        Args:
            latents: z, float32 `[batch, latent_dim]`, standard normal.
            labels: Integers `[batch]` in 0 .. num_classes - 1.

        Returns:
            w, float32 `[batch, style_dim]`.
        """
        embedded = _normalise(self._label_embedding(labels))
        hidden = ops.concatenate([_normalise(latents), embedded], axis=-1)
        for layer in self._dense_layers:
            hidden = _activate(layer(hidden)) * _ACTIVATION_GAIN
        return hidden


class ModulatedConv2D(layers.Layer):
    """A convolution whose kernel is modulated by the style and demodulated (Karras et al. 2020, section 2.2).

    The modulated kernel w'_ijk = s_i w_ijk (eq. 1) acts like an unmodulated one on scaled input channels, and the
    demodulation by 1 / sqrt(sum_ik w'_ijk^2) (eqs. 2 and 3) scales the output channels. So one convolution with one
    kernel serves the whole batch, and each sample depends on its own style alone.
    """

    def __init__(
        self, filters: int, kernel_size: int, *, upsample: bool = False, demodulate: bool = True, **kwargs: object
    ) -> None:
        """Configures the layer.

        Args:
            filters: Number of output channels.
            kernel_size: Height and width of the kernel.
            upsample: Whether to double height and width, by a transposed convolution of stride 2.
            demodulate: Whether to apply eq. 3, with the gain of the activation to come; no need where images come out.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._filters = filters
        self._kernel_size = kernel_size
        self._upsample = upsample
        self._demodulate = demodulate

    def build(self, inputs_shape: tuple[int | None, ...], styles_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        channels = inputs_shape[-1]
        size = (self._kernel_size, self._kernel_size)
        # A transposed convolution takes its kernel as [height, width, outputs, inputs].
        shape = (*size, self._filters, channels) if self._upsample else (*size, channels, self._filters)
        deviation = 1.0 / math.sqrt(channels * self._kernel_size**2)
        self._kernel = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=deviation), name="kernel"
        )
        self._bias = self.add_weight(shape=(self._filters,), initializer="zeros", name="bias")
        self._style = layers.Dense(channels, bias_initializer="ones", name="style")
        self._style.build(styles_shape)
        self.built = True

    def call(self, inputs: keras.KerasTensor, styles: keras.KerasTensor) -> keras.KerasTensor:
        """Convolves the inputs.

        Args:
            inputs: Float32 `[batch, height, width, channels]`.
            styles: w, float32 `[batch, style_dim]`.

        Returns:
            Float32 `[batch, height, width, filters]`, height and width doubled if `upsample`; not yet activated.
        """
        scales = self._style(styles)  # s_i of eq. 1
        hidden = inputs * scales[:, None, None, :]
        if self._upsample:
            hidden = ops.conv_transpose(hidden, self._kernel, strides=2, padding="same")
        else:
            hidden = ops.conv(hidden, self._kernel, strides=1, padding="same")
        if self._demodulate:
            energy = ops.sum(ops.square(self._kernel), axis=(0, 1))
            energy = ops.transpose(energy) if self._upsample else energy
            if self._upsample:
                energy = energy / 4  # Each output pixel of the strided kernel meets a quarter of its taps.
            norms = ops.rsqrt(ops.matmul(ops.square(scales), energy) + _EPSILON)  # eq. 3
            hidden = hidden * (norms * _ACTIVATION_GAIN)[:, None, None, :]
        return hidden + self._bias


class SynthesisBlock(layers.Layer):
    """One resolution of the synthesis network: two modulated convolutions and the image they add."""

    def __init__(self, filters: int, *, upsample: bool, image_channels: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            filters: Number of channels of both convolutions.
            upsample: Whether the first convolution doubles height and width.
            image_channels: Number of channels of the image.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._first = ModulatedConv2D(filters, 4 if upsample else 3, upsample=upsample, name="conv0")
        self._second = ModulatedConv2D(filters, 3, name="conv1")
        self._to_image = ModulatedConv2D(image_channels, 3, demodulate=False, name="to_image")
        self._filters = filters

    def build(self, inputs_shape: tuple[int | None, ...], styles_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._first.build(inputs_shape, styles_shape)
        for layer in (self._second, self._to_image):
            layer.build((None, None, None, self._filters), styles_shape)
        self.built = True

    def call(self, inputs: keras.KerasTensor, styles: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Returns the features and the image of this resolution.

        Args:
            inputs: Features of the block before, float32 `[batch, height, width, channels]`.
            styles: w, float32 `[batch, style_dim]`.

        Returns:
            Features, float32 `[batch, height', width', filters]`, and image, float32
            `[batch, height', width', image_channels]`, before any squashing.
        """
        hidden = _activate(self._first(inputs, styles))
        hidden = _activate(self._second(hidden, styles))
        return hidden, self._to_image(hidden, styles)


class Synthesis(layers.Layer):
    """The synthesis network g: w -> image, with the output skips of Karras et al. 2020, fig. 7(b)."""

    def __init__(
        self, image_shape: tuple[int, int, int], input_filters: int, filters: Sequence[int], **kwargs: object
    ) -> None:
        """Configures the layer.

        Args:
            image_shape: Height, width and channels; height and width are divided by 2 for each block but the first.
            input_filters: Channels of the learned input, an affine map of w instead of StyleGAN's constant.
            filters: Channels of each block, lowest resolution first.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        height, width, channels = image_shape
        scale = 2 ** (len(filters) - 1)
        self._input_shape = (height // scale, width // scale, input_filters)
        self._input = layers.Dense(math.prod(self._input_shape), name="input")
        self._blocks = [
            SynthesisBlock(
                count, upsample=index > 0, image_channels=channels, name=f"block{height // scale * 2**index}"
            )
            for index, count in enumerate(filters)
        ]
        self._filters = tuple(filters)
        self._enlarge = layers.UpSampling2D(interpolation="nearest", name="enlarge")

    def build(self, styles_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._input.build(styles_shape)
        channels = self._input_shape[-1]
        for block, count in zip(self._blocks, self._filters, strict=True):
            block.build((None, None, None, channels), styles_shape)
            channels = count
        self.built = True

    def call(self, styles: keras.KerasTensor) -> keras.KerasTensor:
        """Renders images.

        Args:
            styles: w, float32 `[batch, style_dim]`.

        Returns:
            Images, float32 `[batch, *image_shape]` in [-1, 1].
        """
        hidden = ops.reshape(self._input(styles), (-1, *self._input_shape))
        image = None
        for block in self._blocks:
            hidden, details = block(hidden, styles)
            image = details if image is None else self._enlarge(image) + details
        return ops.tanh(image)


class Generator(keras.Model):
    """The class-conditional generator G(z, label) = g(f(z, label)), with truncation in W.

    Attributes:
        mapping: f, from latents and labels to w.
        synthesis: g, from w to images.
        latent_dim: Size of z.
        num_classes: Number of labels.
        mean_styles: Mean of w for each label, float32 `[num_classes, style_dim]`; zeros until measured.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = IMAGE_SHAPE,
        num_classes: int = NUM_CLASSES,
        latent_dim: int = LATENT_DIM,
        style_dim: int = STYLE_DIM,
        input_filters: int = 48,
        filters: Sequence[int] = (96, 64, 32),
        name: str = "generator",
    ) -> None:
        """Configures and builds the model.

        Args:
            image_shape: Height, width and channels of the images.
            num_classes: Number of labels.
            latent_dim: Size of z.
            style_dim: Size of w.
            input_filters: Channels of the synthesis network's learned input.
            filters: Channels of each synthesis block, lowest resolution first.
            name: Name of the model.
        """
        super().__init__(name=name)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self._style_dim = style_dim
        self.mapping = Mapping(num_classes, style_dim, name="mapping")
        self.synthesis = Synthesis(image_shape, input_filters, filters, name="synthesis")
        self.build((None, latent_dim), (None,))

    def build(self, latents_shape: tuple[int | None, ...], labels_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self.mapping.build(latents_shape, labels_shape)
        self.synthesis.build((None, self._style_dim))
        self.mean_styles = self.add_weight(
            shape=(self.num_classes, self._style_dim), initializer="zeros", trainable=False, name="mean_styles"
        )
        self.built = True

    def truncate(
        self, styles: keras.KerasTensor, labels: keras.KerasTensor, truncation_psi: keras.KerasTensor | float
    ) -> keras.KerasTensor:
        """Moves w towards the mean of its label: w' = w_mean + psi (w - w_mean) (Karras et al. 2019, appendix B).

        Args:
            styles: w, float32 `[batch, style_dim]`.
            labels: Integers `[batch]`.
            truncation_psi: psi, float32 scalar or `[batch, 1]`; 1 changes nothing, 0 gives the mean of the label.

        Returns:
            w', float32 `[batch, style_dim]`.
        """
        means = ops.take(self.mean_styles, labels, axis=0)
        return means + truncation_psi * (styles - means)

    def call(
        self,
        latents: keras.KerasTensor,
        labels: keras.KerasTensor,
        truncation_psi: keras.KerasTensor | float | None = None,
    ) -> keras.KerasTensor:
        """Generates images.

        Args:
            latents: z, float32 `[batch, latent_dim]`, standard normal.
            labels: Integers `[batch]` in 0 .. num_classes - 1.
            truncation_psi: See `truncate`; None leaves truncation out.

        Returns:
            Images, float32 `[batch, *image_shape]` in [-1, 1].
        """
        styles = self.mapping(latents, labels)
        if truncation_psi is not None:
            styles = self.truncate(styles, labels, truncation_psi)
        return self.synthesis(styles)


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
        self._activate = activate

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
        gain = _ACTIVATION_GAIN if self._activate else 1.0
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
        return _activate(outputs) if self._activate else outputs


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
    image_shape: tuple[int, int, int] = IMAGE_SHAPE,
    num_classes: int = NUM_CLASSES,
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
    num_classes: int = NUM_CLASSES,
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


def build_feature_networks(
    image_shape: tuple[int, int, int] = IMAGE_SHAPE, num_classes: int = NUM_CLASSES
) -> list[keras.Model]:
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
