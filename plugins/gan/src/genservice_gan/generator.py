"""The generator of the class-conditional GAN: StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) for small grey images.

Written with Keras layers and `keras.ops`, so it runs on any Keras backend.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

from genservice_gan.activation import GAIN, activate

LATENT_DIM = 64
STYLE_DIM = 128
NUM_CLASSES = 10
IMAGE_SHAPE = (28, 28, 1)

_EPSILON = 1e-8


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
            hidden = activate(layer(hidden)) * GAIN
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
            hidden = hidden * (norms * GAIN)[:, None, None, :]
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
        hidden = activate(self._first(inputs, styles))
        hidden = activate(self._second(hidden, styles))
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
