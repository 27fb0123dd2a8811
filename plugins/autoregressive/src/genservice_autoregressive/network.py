"""The decoder: a Transformer that gives p(x_t | x_<t) at every position of a text, or at one position from a cache.

Vaswani et al. 2017 (arXiv:1706.03762) with the normalisation before each part of a block (Radford et al. 2019) and by
the root mean square (Zhang & Sennrich 2019, arXiv:1910.07467), rotary positions (Su et al. 2021, arXiv:2104.09864),
one key and value for all heads (Shazeer 2019, arXiv:1911.02150) and SwiGLU (Shazeer 2020, arXiv:2002.05202).
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

ROTARY_BASE = 10000.0
_MASKED = -1e9


def rotary_angles(positions: int, dimensions: int) -> NDArray[np.float64]:
    """The angles m θ_i of section 3.2.2 of Su et al.

    Args:
        positions: How many positions m, from 0.
        dimensions: d, the even extent of what is rotated.

    Returns:
        float64 `[positions, d / 2]`, with θ_i = 10000^(-2i/d) for i from 0.
    """
    theta = ROTARY_BASE ** (-np.arange(0, dimensions, 2) / dimensions)
    return np.arange(positions)[:, None] * theta


def rotate(vectors: Any, cosines: Any, sines: Any) -> Any:
    """Rotates pairs of elements, eq. 34 of Su et al.; element i is paired with element i + d/2.

    Args:
        vectors: `[..., d]`.
        cosines: `[..., d / 2]`, of the angles.
        sines: Likewise.

    Returns:
        `[..., d]`.
    """
    x, y = ops.split(vectors, 2, axis=-1)
    return ops.concatenate([x * cosines - y * sines, x * sines + y * cosines], axis=-1)


def attend(queries: Any, keys: Any, values: Any, visible: Any) -> Any:
    """Attention of many heads to one key and value a position: softmax(q Kᵀ / √d) V.

    Args:
        queries: `[batch, positions, heads, d]`.
        keys: `[batch, seen, d]`.
        values: `[batch, seen, d]`.
        visible: bool, broadcast against `[batch, positions, heads, seen]`: what each position may see.

    Returns:
        `[batch, positions, heads * d]`.
    """
    _, positions, heads, d = queries.shape
    # As the heads share their keys, a head is just another row of one matrix product.
    rows = ops.reshape(queries * d**-0.5, (-1, positions * heads, d))
    logits = ops.reshape(ops.matmul(rows, ops.swapaxes(keys, 1, 2)), (-1, positions, heads, keys.shape[1]))
    weights = ops.softmax(ops.where(visible, logits, ops.cast(_MASKED, logits.dtype)))
    weights = ops.reshape(weights, (-1, positions * heads, keys.shape[1]))
    return ops.reshape(ops.matmul(weights, values), (-1, positions, heads * d))


class Block(keras.layers.Layer):
    """One layer: attention, then a network of each position by itself; each is added to what came in.

    Args:
        width: Extent of the residual stream.
        heads: Number of heads; each takes width / heads dimensions.
        hidden: Extent of the hidden layer of the position-wise network.
    """

    def __init__(self, *, width: int, heads: int, hidden: int, dtype: str, name: str) -> None:
        super().__init__(dtype=dtype, name=name)
        self.heads, self.d = heads, width // heads
        self._width, self._hidden = width, hidden
        self.attention_norm = keras.layers.RMSNormalization(dtype=dtype, name="attention_norm")
        self.projection = _dense(width + 2 * self.d, dtype, "projection")
        self.attention_output = _dense(width, dtype, "attention_output")
        self.network_norm = keras.layers.RMSNormalization(dtype=dtype, name="network_norm")
        self.gate = _dense(2 * hidden, dtype, "gate")
        self.network_output = _dense(width, dtype, "network_output")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights."""
        shape = (None, None, self._width)
        for layer in (self.attention_norm, self.projection, self.attention_output, self.network_norm, self.gate):
            layer.build(shape)
        self.network_output.build((None, None, self._hidden))
        self.built = True

    def project(self, stream: Any, cosines: Any, sines: Any) -> tuple[Any, Any, Any]:
        """Makes queries, keys and values; the first two are rotated to their positions.

        Args:
            stream: `[batch, positions, width]`.
            cosines: `[batch or 1, positions, d / 2]`.
            sines: Likewise.

        Returns:
            Queries `[batch, positions, heads, d]`, keys and values `[batch, positions, d]`.
        """
        heads, d = self.heads, self.d
        rows = self.projection(self.attention_norm(stream))
        queries = ops.reshape(rows[..., : heads * d], (-1, stream.shape[1], heads, d))
        keys, values = rows[..., heads * d : -d], rows[..., -d:]
        return rotate(queries, cosines[:, :, None], sines[:, :, None]), rotate(keys, cosines, sines), values

    def transform(self, stream: Any, attended: Any) -> Any:
        """Adds what attention gathered, then the position-wise network, eq. 6 of Shazeer 2020.

        Args:
            stream: `[batch, positions, width]`.
            attended: `[batch, positions, heads * d]`.

        Returns:
            `[batch, positions, width]`.
        """
        stream = stream + self.attention_output(attended)
        gate, value = ops.split(self.gate(self.network_norm(stream)), 2, axis=-1)
        return stream + self.network_output(ops.silu(gate) * value)


class Decoder(keras.Model):
    """The whole network.

    Args:
        characters: Number of characters; the begin token has the number after the last.
        context: Most positions, the begin token's among them.
        layers: Number of blocks.
        width: Extent of the residual stream.
        heads: Number of heads, a divisor of the width.
        hidden: Extent of the hidden layer of the position-wise networks.
        dtype: Keras's dtype policy.
    """

    def __init__(
        self,
        *,
        characters: int,
        context: int,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        dtype: str = "float32",
        name: str = "decoder",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.context, self.d, self.begin = context, width // heads, characters
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.embedding = keras.layers.Embedding(
            characters + 1, width, embeddings_initializer=normal, dtype=dtype, name="embedding"
        )
        self.blocks = [
            Block(width=width, heads=heads, hidden=hidden, dtype=dtype, name=f"block{number}")
            for number in range(layers)
        ]
        self.norm = keras.layers.RMSNormalization(dtype=dtype, name="norm")
        self.head = _dense(characters, dtype, "head")
        angles = rotary_angles(context, self.d)
        self._cosines, self._sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        self.embedding.build((None, None))
        for layer in (*self.blocks, self.norm, self.head):
            layer.build((None, None, width))
        for block in self.blocks:
            # The residual stream sums 2 * layers parts (Radford et al. 2019, section 2.3).
            for dense in (block.attention_output, block.network_output):
                dense.kernel.assign(dense.kernel / (2 * layers) ** 0.5)
        self.built = True

    def call(self, tokens: Any) -> Any:
        """The logits at all positions of texts.

        Args:
            tokens: int32 `[batch, positions]`, the begin token first; at most `context` positions.

        Returns:
            float32 `[batch, positions, characters]`: log p(x_t | x_<t) up to a constant.
        """
        positions = tokens.shape[1]
        cosines, sines = self._rotation(np.arange(positions)[None])
        visible = np.tril(np.ones((positions, positions), bool))[:, None, :]
        stream = self.embedding(tokens)
        for block in self.blocks:
            queries, keys, values = block.project(stream, cosines, sines)
            stream = block.transform(stream, attend(queries, keys, values, visible))
        return self._logits(stream)

    def step(self, tokens: Any, positions: Any, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """The logits at one position a row, with what the positions before it left in the cache.

        Args:
            tokens: int32 `[batch]`, the token at each row's position.
            positions: int32 `[batch]`, from 0 to `context - 1`.
            keys: float32 `[batch, layers, context, d]`, filled at all positions before the row's own; what lies at its
                own and after is not looked at.
            values: Likewise.

        Returns:
            Logits, float32 `[batch, characters]`, and the keys and values of the rows' positions, to be put into the
            cache, `[batch, layers, d]`.
        """
        places = ops.arange(self.context, dtype="int32")[None]
        own = ops.equal(places, positions[:, None])[..., None]
        visible = ops.less_equal(places, positions[:, None])[:, None, None, :]
        cosines, sines = self._rotation(positions[:, None])
        stream = self.embedding(tokens[:, None])
        new_keys, new_values = [], []
        for layer, block in enumerate(self.blocks):
            queries, key, value = block.project(stream, cosines, sines)
            seen_keys = ops.where(own, key, keys[:, layer])
            seen_values = ops.where(own, value, values[:, layer])
            stream = block.transform(stream, attend(queries, seen_keys, seen_values, visible))
            new_keys.append(key[:, 0])
            new_values.append(value[:, 0])
        return self._logits(stream)[:, 0], ops.stack(new_keys, axis=1), ops.stack(new_values, axis=1)

    def _rotation(self, positions: Any) -> tuple[Any, Any]:
        kind = self.compute_dtype
        return tuple(
            ops.cast(ops.take(ops.convert_to_tensor(table), positions, axis=0), kind)
            for table in (self._cosines, self._sines)
        )

    def _logits(self, stream: Any) -> Any:
        return ops.cast(self.head(self.norm(stream)), "float32")


def _dense(units: int, dtype: str, name: str) -> keras.layers.Dense:
    initializer = keras.initializers.VarianceScaling(1.0, "fan_in", "normal")
    return keras.layers.Dense(units, use_bias=False, kernel_initializer=initializer, dtype=dtype, name=name)
