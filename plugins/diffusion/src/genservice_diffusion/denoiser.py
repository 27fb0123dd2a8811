"""The denoiser D(x; sigma, label): a small U-Net in the preconditioning of EDM (Karras et al. 2022, arXiv:2206.00364).

Written with Keras layers and `keras.ops`, so it runs on any Keras backend.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

from genservice_diffusion.layers import (
    Attention,
    MPConv2D,
    MPDense,
    ResidualBlock,
    Upsample,
    mp_silu,
    mp_sum,
    normalise,
)

CHANNELS = (16, 48, 96)
EMBEDDING_SIZE = 128
ATTENTION_HEADS = 3

_FREQUENCIES = 32
_MOST_FREQUENCY = 2.0


class Embedding(layers.Layer):
    """Maps the noise level and the label to one vector that scales the blocks, as in EDM2 (arXiv:2312.02696)."""

    def __init__(self, classes: int, units: int, **kwargs: object) -> None:
        """Configures the layer.

        Args:
            classes: Number of labels, the null label included.
            units: Size of the vector.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._classes = classes
        self._noise = MPDense(units, dtype="float32", name="noise")
        self._label = MPDense(units, dtype="float32", name="label")

    def build(self, levels_shape: tuple[int | None, ...], labels_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._noise.build((None, 2 * _FREQUENCIES))
        self._label.build((None, self._classes))
        self.built = True

    def call(self, levels: keras.KerasTensor, labels: keras.KerasTensor) -> keras.KerasTensor:
        """Embeds.

        Args:
            levels: c_noise, float32 `[batch]`.
            labels: Integers `[batch]`.

        Returns:
            Float32 `[batch, units]`.
        """
        frequencies = (ops.arange(_FREQUENCIES, dtype="float32") + 0.5) * (_MOST_FREQUENCY / _FREQUENCIES)
        angles = 2 * math.pi * ops.cast(levels, "float32")[:, None] * frequencies
        waves = ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1) * math.sqrt(2.0)
        one_hot = ops.one_hot(labels, self._classes, dtype="float32") * math.sqrt(self._classes)
        return mp_silu(mp_sum(self._noise(waves), self._label(one_hot), 0.5))


class UNet(layers.Layer):
    """The network F: one residual block a level on the way down and one on the way up, with attention at the lowest."""

    def __init__(
        self, image_channels: int, channels: Sequence[int], attention_heads: int, classes: int, **kwargs: object
    ) -> None:
        """Configures the layer.

        Args:
            image_channels: Channels of the images.
            channels: Channels of each level, highest resolution first; each level halves height and width.
            attention_heads: Heads of the attention at the lowest level.
            classes: Number of labels, the null label included.
            **kwargs: Passed to `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        policy = self.dtype_policy
        top, *lower = channels
        last = len(channels) - 1
        self._channels = tuple(channels)
        self._image_channels = image_channels
        self._embedding = Embedding(classes, EMBEDDING_SIZE, name="embedding")
        self._enter = MPConv2D(top, 3, dtype=policy, name="enter")
        self._down = [
            MPConv2D(width, 2, strides=2, dtype=policy, name=f"down{level}") for level, width in enumerate(lower, 1)
        ]
        self._encoders = [
            ResidualBlock(width, dtype=policy, name=f"encoder{level}") for level, width in enumerate(channels)
        ]
        self._decoders = [
            ResidualBlock(width, dtype=policy, name=f"decoder{level}") for level, width in enumerate(channels)
        ]
        self._attention = Attention(channels[last], attention_heads, dtype=policy, name="attention")
        self._up = [Upsample(width, dtype=policy, name=f"up{level}") for level, width in enumerate(channels[:-1])]
        self._leave = MPConv2D(image_channels, 3, dtype=policy, name="leave")

    def build(self, images_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        embedded_shape = (None, EMBEDDING_SIZE)
        self._embedding.build((None,), (None,))
        self._enter.build((None, None, None, self._image_channels + 1))
        for level, width in enumerate(self._channels):
            shape = (None, None, None, width)
            self._encoders[level].build(shape, embedded_shape)
            self._decoders[level].build(shape, embedded_shape)
            if level > 0:
                self._down[level - 1].build((None, None, None, self._channels[level - 1]))
                self._up[level - 1].build(shape)
        self._attention.build((None, None, None, self._channels[-1]))
        self._leave.build((None, None, None, self._channels[0]))
        self._gain = self.add_weight(shape=(1,), initializer="zeros", autocast=False, name="gain")
        self.built = True

    def call(
        self, images: keras.KerasTensor, levels: keras.KerasTensor, labels: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Applies F.

        Args:
            images: c_in x, float32 `[batch, height, width, image_channels]`, of about unit variance.
            levels: c_noise, float32 `[batch]`.
            labels: Integers `[batch]`.

        Returns:
            Float32, in the shape of the images.
        """
        embedded = self._embedding(levels, labels)
        images = ops.cast(images, self.compute_dtype)
        # A channel of ones stands in for all biases (EDM2, section 2.1).
        hidden = self._enter(ops.concatenate([images, ops.ones_like(images[..., :1])], axis=-1))
        skips = []
        for level, encoder in enumerate(self._encoders):
            if level > 0:
                hidden = normalise(self._down[level - 1](hidden), -1)
            hidden = encoder(hidden, embedded)
            skips.append(hidden)
        hidden = self._attention(skips.pop())
        hidden = self._decoders[-1](hidden, embedded)
        for level in reversed(range(len(skips))):
            hidden = mp_sum(self._up[level](hidden), skips[level], 0.5)
            hidden = self._decoders[level](hidden, embedded)
        return ops.cast(self._leave(mp_silu(hidden)), "float32") * self._gain


class Denoiser(keras.Model):
    """D(x; sigma, label), the least-squares estimate of the image under normal noise of standard deviation sigma.

    Attributes:
        num_classes: Number of labels; this number itself is the null label, of images of any label.
        data_mean: Mean of the pixels.
        sigma_data: Standard deviation of the pixels around it.
        settings: What a version has to remember to build the model again, but for the shape and the labels.
    """

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        num_classes: int,
        data_mean: float,
        sigma_data: float,
        channels: Sequence[int] = CHANNELS,
        attention_heads: int = ATTENTION_HEADS,
        name: str = "denoiser",
        dtype: str | None = None,
    ) -> None:
        """Configures and builds the model.

        Args:
            image_shape: Height, width and channels; height and width can be halved once for each level but the first.
            num_classes: Number of labels.
            data_mean: Mean of the pixels.
            sigma_data: Standard deviation of the pixels around it.
            channels: See `UNet`.
            attention_heads: See `UNet`.
            name: Name of the model.
            dtype: Keras's dtype policy of the U-Net; what is around it is float32.
        """
        super().__init__(name=name, dtype="float32")
        self.num_classes = num_classes
        self.data_mean = data_mean
        self.sigma_data = sigma_data
        self.settings = {
            "data_mean": data_mean,
            "sigma_data": sigma_data,
            "channels": list(channels),
            "attention_heads": attention_heads,
        }
        self._unet = UNet(
            image_shape[-1], channels, attention_heads, num_classes + 1, dtype=dtype, name="unet", autocast=False
        )
        self.build((None, *image_shape))

    def build(self, images_shape: tuple[int | None, ...]) -> None:
        """Creates the weights."""
        self._unet.build(images_shape)
        self.built = True

    def call(
        self, images: keras.KerasTensor, sigmas: keras.KerasTensor, labels: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Denoises: D = c_skip x + c_out F(c_in x; c_noise) (EDM, eq. 7 and table 1), with x taken from the mean.

        Args:
            images: x, float32 `[batch, height, width, channels]`.
            sigmas: Float32 `[batch]`, above 0.
            labels: Integers `[batch]`, 0 .. num_classes.

        Returns:
            Float32, in the shape of the images.
        """
        total = ops.sqrt(ops.square(sigmas) + self.sigma_data**2)
        c_skip = self.sigma_data**2 / ops.square(total)
        c_out = sigmas * self.sigma_data / total
        centred = images - self.data_mean
        residual = self._unet(centred / total[:, None, None, None], ops.log(sigmas) / 4, labels)
        return self.data_mean + c_skip[:, None, None, None] * centred + c_out[:, None, None, None] * residual
