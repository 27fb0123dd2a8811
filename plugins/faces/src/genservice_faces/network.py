"""The residual network that maps a picture of a face to 128 numbers, and how a picture is made ready for it.

It is dlib's face recognition network (King 2017, `dlib_face_recognition_resnet_model_v1`): a ResNet-34 (He et al. 2016,
arXiv:1512.03385) with fewer layers and half the filters, in the form that face-api.js gave it.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Window = tuple[int, int, int]
"""Top, left and side of a square in a picture, in pixels."""

SIDE_PX = 150
"""Height and width of a picture as the network takes it."""
EMBEDDING_DIM = 128
MEAN_RGB = (122.782, 117.001, 104.298)
"""What is subtracted from red, green and blue, as pixels from 0 to 255."""

BLOCKS = (
    ("conv32_1", 32, False),
    ("conv32_2", 32, False),
    ("conv32_3", 32, False),
    ("conv64_down", 64, True),
    ("conv64_1", 64, False),
    ("conv64_2", 64, False),
    ("conv64_3", 64, False),
    ("conv128_down", 128, True),
    ("conv128_1", 128, False),
    ("conv128_2", 128, False),
    ("conv256_down", 256, True),
    ("conv256_1", 256, False),
    ("conv256_2", 256, False),
    ("conv256_down_out", 256, True),
)
"""Name of each residual block, its channels, and whether it halves height and width."""
CONVOLUTIONS = ("conv32_down", *(f"{block}/{conv}" for block, _, _ in BLOCKS for conv in ("conv1", "conv2")))
"""Name of each convolution in the weights; `layer_name` gives that of its layer."""


def layer_name(convolution: str) -> str:
    """Name of a convolution's layer: Keras allows no `/` in it."""
    return convolution.replace("/", "_")


def build_network() -> keras.Model:
    """Builds the network without its weights.

    Returns:
        A model from what `prepare` returns to embeddings, float32 `[batch, 128]`. The affine layer that follows each
        convolution in the weights is folded into it.
    """
    faces = keras.Input((SIDE_PX, SIDE_PX, 3), name="faces")
    hidden = _convolution(faces, 32, "conv32_down", kernel_size=7, strides=2)
    hidden = layers.MaxPooling2D(3, 2, name="pool")(hidden)
    for name, channels, halves in BLOCKS:
        hidden = _residual_block(hidden, channels, name, halves=halves)
    features = layers.GlobalAveragePooling2D(name="features")(hidden)
    embedding = layers.Dense(EMBEDDING_DIM, use_bias=False, name="fc")(features)
    return keras.Model(faces, embedding, name="face_recognition")


def prepare(images: Any, window: Window) -> Any:
    """Makes pictures ready for the network: cuts the window out, and scales it bilinearly.

    Args:
        images: float32 `[batch, height, width, channels]` in [-1, 1], of 1 or 3 channels; one channel counts as grey.
        window: What is cut out. Beyond the picture its outermost pixels are repeated.

    Returns:
        float32 `[batch, 150, 150, 3]`: the pixels from 0 to 255, less their mean, divided by 255.
    """
    top, left, side = window
    height, width = images.shape[1:3]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    pixels = (ops.take(ops.take(images, rows, axis=1), columns, axis=2) + 1) * 127.5
    if side != SIDE_PX:
        pixels = ops.image.resize(pixels, (SIDE_PX, SIDE_PX), interpolation="bilinear", antialias=side > SIDE_PX)
    # One channel is broadcast to three here.
    return (pixels - np.array(MEAN_RGB, np.float32)) / 255


def embed_faces(network: keras.Model, images: Any, window: Window) -> Any:
    """Embeds pictures: the mean of the network's answers to each and to its mirror image.

    On the ORL faces that is better than the picture alone, for twice the work.

    Args:
        network: What `build_network` returned, with its weights.
        images: As in `prepare`.
        window: As in `prepare`.

    Returns:
        float32 `[batch, 128]`.
    """
    faces = prepare(images, window)
    both = ops.concatenate((faces, ops.flip(faces, axis=2)))
    return ops.mean(ops.reshape(network(both, training=False), (2, -1, EMBEDDING_DIM)), axis=0)


def _convolution(
    hidden: keras.KerasTensor, channels: int, name: str, *, kernel_size: int = 3, strides: int = 1, relu: bool = True
) -> keras.KerasTensor:
    """Applies a convolution; one that strides is not padded."""
    return layers.Conv2D(
        channels,
        kernel_size,
        strides,
        padding="valid" if strides > 1 else "same",
        activation="relu" if relu else None,
        name=layer_name(name),
    )(hidden)


def _residual_block(hidden: keras.KerasTensor, channels: int, name: str, *, halves: bool) -> keras.KerasTensor:
    """Applies y = ReLU(F(x) + x) (He et al. 2016, eq. 1) with two 3x3 convolutions as F.

    A block that halves adds the mean of each 2x2 pixels instead of x, with zeros for the channels that x lacks. Where F
    comes out a row and a column smaller than that, these are zeros.
    """
    residual = _convolution(hidden, channels, f"{name}/conv1", strides=2 if halves else 1)
    residual = _convolution(residual, channels, f"{name}/conv2", relu=False)
    if halves:
        hidden = layers.AveragePooling2D(2, name=f"{name}_pool")(hidden)
        rows, columns = (hidden.shape[axis] - residual.shape[axis] for axis in (1, 2))
        residual = layers.ZeroPadding2D(((0, rows), (0, columns)), name=f"{name}_pad")(residual)
    if hidden.shape[-1] < channels:
        missing = ops.zeros_like(hidden[..., : channels - hidden.shape[-1]])
        hidden = layers.Concatenate(name=f"{name}_channels")([hidden, missing])
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([residual, hidden]))
