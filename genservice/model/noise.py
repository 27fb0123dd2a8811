"""Counter-based random numbers: a row's noise depends on its address alone, never on its place in a batch.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. The
key is the seed, the counter is (index low, index high, step, site and block).
"""

from collections.abc import Sequence
from math import pi, prod
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from genservice.errors import PluginError

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

SITE_BITS = 12
BLOCK_BITS = 20


class Ops(Protocol):
    """The few array operations that the generator needs, so that it is written once."""

    def uint32(self, values: Any) -> Any: ...
    def multiply(self, words: Any, constant: int) -> tuple[Any, Any]: ...
    def xor(self, left: Any, right: Any) -> Any: ...
    def top_bits(self, words: Any) -> Any: ...
    def log(self, values: Any) -> Any: ...
    def sqrt(self, values: Any) -> Any: ...
    def cos(self, values: Any) -> Any: ...
    def sin(self, values: Any) -> Any: ...
    def stack(self, parts: Sequence[Any]) -> Any: ...
    def reshape(self, values: Any, shape: Sequence[int]) -> Any: ...
    def argmax(self, values: Any) -> Any: ...


class NumPyOps:
    """The reference, and what models without TensorFlow use."""

    log = staticmethod(np.log)
    sqrt = staticmethod(np.sqrt)
    cos = staticmethod(np.cos)
    sin = staticmethod(np.sin)
    xor = staticmethod(np.bitwise_xor)

    def uint32(self, values: Any) -> Any:
        return np.asarray(values, np.uint32)

    def multiply(self, words: Any, constant: int) -> tuple[Any, Any]:
        product = words.astype(np.uint64) * np.uint64(constant)
        return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)

    def top_bits(self, words: Any) -> Any:
        return (words >> np.uint32(9)).astype(np.float32)

    def stack(self, parts: Sequence[Any]) -> Any:
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def reshape(self, values: Any, shape: Sequence[int]) -> Any:
        return np.reshape(values, shape)

    def argmax(self, values: Any) -> Any:
        return np.argmax(values, axis=-1)


class TensorFlowOps:
    """What traced models use; the integers are the same, log and cos may differ in the last bit."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf
        self.log, self.sqrt, self.cos, self.sin = tf.math.log, tf.sqrt, tf.cos, tf.sin
        self.reshape = tf.reshape
        self.xor = tf.bitwise.bitwise_xor

    def uint32(self, values: Any) -> Any:
        return self._tf.cast(values, self._tf.uint32)

    def multiply(self, words: Any, constant: int) -> tuple[Any, Any]:
        tf = self._tf
        product = tf.cast(words, tf.uint64) * tf.constant(constant, tf.uint64)
        high = tf.bitwise.right_shift(product, tf.constant(32, tf.uint64))
        return tf.cast(high, tf.uint32), tf.cast(product, tf.uint32)

    def top_bits(self, words: Any) -> Any:
        tf = self._tf
        return tf.cast(tf.bitwise.right_shift(words, tf.constant(9, tf.uint32)), tf.float32)

    def stack(self, parts: Sequence[Any]) -> Any:
        return self._tf.stack(parts, axis=-1)

    def argmax(self, values: Any) -> Any:
        return self._tf.argmax(values, axis=-1)


def philox4x32(counter: Sequence[Any], key: Sequence[Any], ops: Ops) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10.

    Args:
        counter: Four uint32 arrays of one shape.
        key: Two uint32 arrays that broadcast against them.
        ops: The array operations.

    Returns:
        Four uint32 arrays of the counter's shape: 128 random bits for each counter.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for round_number in range(ROUNDS):
        high0, low0 = ops.multiply(c0, MULTIPLIERS[0])
        high1, low1 = ops.multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = ops.xor(ops.xor(high1, c1), k0), low1, ops.xor(ops.xor(high0, c3), k1), low0
        if round_number + 1 < ROUNDS:
            k0, k1 = k0 + ops.uint32(WEYL[0]), k1 + ops.uint32(WEYL[1])
    return c0, c1, c2, c3


class Noise:
    """The randomness of a batch of draws, one address a row.

    A model asks for numbers by *site*, the name of the place in the model that uses them. Each site may be asked once
    in a call (once a step, for an iterative model): asking again would give the same numbers.

    Args:
        seed_words: uint32 `[batch, 2]`, low word first.
        index_words: uint32 `[batch, 2]`, low word first.
        step_words: uint32 `[batch]`, the step of an iterative model; 0 for others.
        ops: The array operations; NumPy's where absent.
    """

    def __init__(self, seed_words: Any, index_words: Any, step_words: Any, ops: Ops | None = None) -> None:
        self._seed_words, self._index_words, self._step_words = seed_words, index_words, step_words
        self._ops: Ops = ops or NumPyOps()
        self._sites: dict[int, str] = {}

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._index_words.shape[0])

    def at_step(self, step: int) -> "Noise":
        """The randomness of the same rows at another step."""
        return Noise(self._seed_words, self._index_words, self._ops.uint32(np.full(self.rows, step)), self._ops)

    def uniform(self, site: str, shape: Sequence[int] = ()) -> Any:
        """Numbers of the uniform distribution on the open interval from 0 to 1.

        Returns:
            float32 `[batch, *shape]`, odd multiples of 2^-24, so that neither 0 nor 1 appears.
        """
        return self._rows(self._ops.stack(self._unit_words(site, prod(shape))), shape)

    def normal(self, site: str, shape: Sequence[int] = ()) -> Any:
        """Numbers of the standard normal distribution, by the transform of Box and Muller (1958).

        Returns:
            float32 `[batch, *shape]`.
        """
        ops = self._ops
        u0, u1, u2, u3 = self._unit_words(site, prod(shape))
        r0, r1 = ops.sqrt(np.float32(-2) * ops.log(u0)), ops.sqrt(np.float32(-2) * ops.log(u2))
        a0, a1 = np.float32(2 * pi) * u1, np.float32(2 * pi) * u3
        return self._rows(ops.stack([r0 * ops.cos(a0), r0 * ops.sin(a0), r1 * ops.cos(a1), r1 * ops.sin(a1)]), shape)

    def categorical(self, site: str, logits: Any) -> Any:
        """One category a row, by the Gumbel-max trick.

        Args:
            site: Name of the place.
            logits: float32 `[batch, categories]`, log probabilities up to a constant.

        Returns:
            int64 `[batch]`.
        """
        uniform = self.uniform(site, (int(logits.shape[-1]),))
        return self._ops.argmax(logits - self._ops.log(-self._ops.log(uniform)))

    def _unit_words(self, site: str, count: int) -> list[Any]:
        blocks = -(-count // 4)
        if blocks > 1 << BLOCK_BITS:
            raise PluginError(f"Site {site!r} asks for {count} numbers a row; the most is {4 << BLOCK_BITS}.")
        number = crc32(site.encode()) >> (32 - SITE_BITS)
        if number in self._sites:
            other = self._sites[number]
            fault = "is asked twice in one call" if other == site else f"collides with {other!r}"
            raise PluginError(f"The noise site {site!r} {fault}: give it another name.")
        self._sites[number] = site
        counter = (
            self._index_words[:, 0:1],
            self._index_words[:, 1:2],
            self._step_words[:, None],
            self._ops.uint32(np.arange(blocks, dtype=np.int64) + (number << BLOCK_BITS))[None, :],
        )
        key = (self._seed_words[:, 0:1], self._seed_words[:, 1:2])
        # 23 bits and a half: with 24 the greatest would round to 1.
        return [
            self._ops.top_bits(word) * np.float32(2**-23) + np.float32(2**-24)
            for word in philox4x32(counter, key, self._ops)
        ]

    def _rows(self, numbers: Any, shape: Sequence[int]) -> Any:
        flat = self._ops.reshape(numbers, (-1, numbers.shape[-2] * 4))
        return self._ops.reshape(flat[:, : prod(shape)], (-1, *shape))


def words(values: Sequence[int] | NDArray[Any]) -> NDArray[np.uint32]:
    """Splits 64-bit integers into 32-bit words.

    Args:
        values: `[batch]`, from 0 to 2^64 - 1.

    Returns:
        uint32 `[batch, 2]`, low word first.
    """
    return np.asarray(values, np.uint64).astype("<u8").view("<u4").reshape(-1, 2)
