"""Classifiers of small grey images: a residual convolutional network and multinomial logistic regression.

Both map images to logits. The softmax is left to the caller, who needs the logits for losses and guidance.
"""

import keras
from keras import layers

EMBEDDING_DIM = 128


def build_cnn(
    image_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10, name: str = "fashion_cnn"
) -> keras.Model:
    """Builds a small residual network (He et al. 2016, arXiv:1512.03385, fig. 2) with batch normalisation.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of labels.
        name: Name of the model.

    Returns:
        A model from images, float32 `[batch, *image_shape]` in [-1, 1], to a pair: logits, float32
        `[batch, num_classes]`, and the embedding (the penultimate features after their ReLU, so >= 0), float32
        `[batch, EMBEDDING_DIM]`. The logits are an affine map of the embedding.
    """
    images = keras.Input(image_shape, name="images")
    hidden = _convolution(images, 32, "stem")
    hidden = layers.MaxPooling2D(name="pool14")(hidden)
    hidden = _residual_block(hidden, 48, "block14")
    hidden = layers.MaxPooling2D(name="pool7")(hidden)
    hidden = _residual_block(hidden, 96, "block7")
    hidden = _convolution(hidden, EMBEDDING_DIM, "head")
    embedding = layers.GlobalAveragePooling2D(name="embedding")(hidden)
    # Dropout only in training; the logits head would otherwise latch on to a few features.
    logits = layers.Dense(num_classes, name="logits")(layers.Dropout(0.2, name="dropout")(embedding))
    return keras.Model(images, (logits, embedding), name=name)


def build_logistic_regression(
    image_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10, name: str = "fashion_logistic"
) -> keras.Model:
    """Builds multinomial logistic regression on the pixels (Bishop 2006, section 4.3.4).

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of labels.
        name: Name of the model.

    Returns:
        A model from images, float32 `[batch, *image_shape]` in [-1, 1], to logits, float32 `[batch, num_classes]`.
    """
    images = keras.Input(image_shape, name="images")
    logits = layers.Dense(num_classes, kernel_initializer="zeros", name="logits")(layers.Flatten(name="pixels")(images))
    return keras.Model(images, logits, name=name)


def _convolution(
    hidden: keras.KerasTensor, filters: int, name: str, activation: str | None = "relu"
) -> keras.KerasTensor:
    """Applies a 3x3 convolution, batch normalisation and an activation (He et al. 2016, section 3.4)."""
    hidden = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(hidden)
    hidden = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(hidden)
    return hidden if activation is None else layers.Activation(activation, name=f"{name}_{activation}")(hidden)


def _residual_block(hidden: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Applies y = ReLU(F(x, W) + W_s x) (He et al. 2016, eq. 2) with two 3x3 convolutions as F."""
    shortcut = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(hidden)
    residual = _convolution(hidden, filters, f"{name}_first")
    residual = _convolution(residual, filters, f"{name}_second", activation=None)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, residual]))
