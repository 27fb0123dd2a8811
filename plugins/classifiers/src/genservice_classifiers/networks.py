"""Networks that classify images: a residual convolutional network and a multilayer perceptron.

Both map images to logits and to the features that the logits are an affine map of. The softmax is left to the caller,
who needs the logits for losses and guidance.
"""

import keras
from keras import layers


def build_cnn(
    image_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 32,
    depth: int = 1,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a small residual network (He et al. 2016, arXiv:1512.03385, fig. 2) with batch normalisation.

    Args:
        image_shape: Height, width and channels of the images; 4 pixels or more a side.
        num_classes: Number of labels.
        width: Filters at the images' own resolution; 3/2, 3 and 4 times as many follow.
        depth: Residual blocks at each of the two lower resolutions.
        dtype: Keras's dtype policy of the layers.

    Returns:
        A model from images, float32 `[batch, *image_shape]` in [-1, 1], to a pair: logits, `[batch, num_classes]`, and
        the embedding (the penultimate features after their ReLU, so >= 0), `[batch, 4 * width]`, both in the dtype
        that the policy computes in.
    """
    images = keras.Input(image_shape, name="images")
    hidden = _convolution(images, width, "stem", dtype)
    # The numbers in the names are the sides of the features of a 28x28 image; weights files name layers by them.
    for resolution, filters in (("14", width * 3 // 2), ("7", width * 3)):
        hidden = layers.MaxPooling2D(dtype=dtype, name=f"pool{resolution}")(hidden)
        hidden = _residual_block(hidden, filters, f"block{resolution}", dtype, project=True)
        for place in range(2, depth + 1):
            hidden = _residual_block(hidden, filters, f"block{resolution}_{place}", dtype, project=False)
    hidden = _convolution(hidden, width * 4, "head", dtype)
    embedding = layers.GlobalAveragePooling2D(dtype=dtype, name="embedding")(hidden)
    # Dropout only in training; the logits head would otherwise latch on to a few features.
    kept = layers.Dropout(0.2, dtype=dtype, name="dropout")(embedding)
    logits = layers.Dense(num_classes, dtype=dtype, name="logits")(kept)
    return keras.Model(images, (logits, embedding), name="cnn")


def build_mlp(
    image_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 256,
    depth: int = 2,
    dropout: float = 0.2,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a multilayer perceptron (Bishop 2006, section 5.1) with batch normalisation and dropout.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of labels.
        width: Units of each hidden layer.
        depth: Hidden layers.
        dropout: Part of the hidden units that is dropped in training (Srivastava et al. 2014).
        dtype: Keras's dtype policy of the layers.

    Returns:
        As `build_cnn`; the embedding is the last hidden layer after its ReLU, `[batch, width]`.
    """
    images = keras.Input(image_shape, name="images")
    kept = layers.Flatten(dtype=dtype, name="pixels")(images)
    for place in range(1, depth + 1):
        hidden = layers.Dense(width, use_bias=False, dtype=dtype, name=f"hidden{place}")(kept)
        hidden = layers.BatchNormalization(momentum=0.9, dtype=dtype, name=f"hidden{place}_norm")(hidden)
        hidden = layers.Activation("relu", dtype=dtype, name=f"hidden{place}_relu")(hidden)
        kept = layers.Dropout(dropout, dtype=dtype, name=f"dropout{place}")(hidden)
    logits = layers.Dense(num_classes, dtype=dtype, name="logits")(kept)
    return keras.Model(images, (logits, hidden), name="mlp")


def _convolution(
    hidden: keras.KerasTensor, filters: int, name: str, dtype: str, activation: str | None = "relu"
) -> keras.KerasTensor:
    """Applies a 3x3 convolution, batch normalisation and an activation (He et al. 2016, section 3.4)."""
    hidden = layers.Conv2D(filters, 3, padding="same", use_bias=False, dtype=dtype, name=f"{name}_conv")(hidden)
    hidden = layers.BatchNormalization(momentum=0.9, dtype=dtype, name=f"{name}_norm")(hidden)
    if activation is None:
        return hidden
    return layers.Activation(activation, dtype=dtype, name=f"{name}_{activation}")(hidden)


def _residual_block(
    hidden: keras.KerasTensor, filters: int, name: str, dtype: str, *, project: bool
) -> keras.KerasTensor:
    """Applies y = ReLU(F(x, W) + W_s x) (He et al. 2016, eq. 2) with two 3x3 convolutions as F.

    Without `project`, W_s is the identity (eq. 1).
    """
    shortcut = hidden
    if project:
        shortcut = layers.Conv2D(filters, 1, use_bias=False, dtype=dtype, name=f"{name}_shortcut")(hidden)
    residual = _convolution(hidden, filters, f"{name}_first", dtype)
    residual = _convolution(residual, filters, f"{name}_second", dtype, activation=None)
    total = layers.Add(dtype=dtype, name=f"{name}_add")([shortcut, residual])
    return layers.Activation("relu", dtype=dtype, name=f"{name}_relu")(total)
