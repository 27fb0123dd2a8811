"""What may be drawn: the distribution of the next character, sharpened and cut as the options ask.

Every function takes logits `[batch, vocabulary]` and gives logits: log probabilities up to a constant a row, -infinity
for what may not be drawn. The likeliest is always left, and of equally likely ones that with the lower number counts as
likelier, so that what is left does not hang on how a sort breaks ties.
"""

from typing import Any

from keras import ops

COLDEST = 1e-20
"""Below this temperature float32 would divide by zero; only exact ties could still be drawn at it."""


def restrict(logits: Any, temperature: Any, top_k: Any, top_p: Any) -> Any:
    """Applies temperature, then top-k, then top-p, each to what the one before has left.

    Args:
        logits: float32 `[batch, vocabulary]`, finite.
        temperature: float32 `[batch]`, from 0.
        top_k: Whole numbers `[batch]`, from 0.
        top_p: float32 `[batch]`, from 0 to 1.

    Returns:
        float32 `[batch, vocabulary]`, the greatest of each row 0.
    """
    return keep_top_p(keep_top_k(heat(logits, temperature), top_k), top_p)


def heat(logits: Any, temperature: Any) -> Any:
    """Makes p^(1 / temperature) of p; 0, like anything below `COLDEST`, leaves the likeliest alone.

    Args:
        logits: float32 `[batch, vocabulary]`.
        temperature: float32 `[batch]`, from 0.

    Returns:
        float32 `[batch, vocabulary]`, the greatest of each row 0.
    """
    warm = temperature[:, None] >= COLDEST
    # The likeliest lacks 0, which stays 0 however small the temperature.
    relative = logits - ops.max(logits, axis=-1, keepdims=True)
    heated = relative / ops.where(warm, temperature[:, None], 1.0)
    return ops.where(warm | (_rank(_before(logits)) == 0), heated, -float("inf"))


def keep_top_k(logits: Any, top_k: Any) -> Any:
    """Leaves the `top_k` likeliest (Fan et al. 2018, arXiv:1805.04833, section 5.1); 0 leaves all.

    Args:
        logits: float32 `[batch, vocabulary]`.
        top_k: Whole numbers `[batch]`, from 0.

    Returns:
        float32 `[batch, vocabulary]`.
    """
    top_k = top_k[:, None]
    rank = ops.cast(_rank(_before(logits)), top_k.dtype)
    return ops.where((top_k == 0) | (rank < top_k), logits, -float("inf"))


def keep_top_p(logits: Any, top_p: Any) -> Any:
    """Leaves the nucleus, the fewest likeliest with at least the probability `top_p` together; 1 leaves all.

    Holtzman et al. 2020 (arXiv:1904.09751), eq. 2.

    Args:
        logits: float32 `[batch, vocabulary]`.
        top_p: float32 `[batch]`, from 0 to 1.

    Returns:
        float32 `[batch, vocabulary]`.
    """
    top_p = top_p[:, None]
    before = _before(logits)
    mass_before = ops.sum(ops.where(before, ops.softmax(logits)[:, None, :], 0.0), axis=-1)
    # The sum of all but the last may round to 1 and more.
    kept = (top_p >= 1) | (mass_before < top_p) | (_rank(before) == 0)
    return ops.where(kept, logits, -float("inf"))


def _before(logits: Any) -> Any:
    """Whether, at `[..., i, j]`, j is likelier than i; of equally likely ones the first is."""
    places = ops.arange(logits.shape[-1])
    ours, others = logits[:, :, None], logits[:, None, :]
    return (others > ours) | ((others == ours) & (places[None, :] < places[:, None]))


def _rank(before: Any) -> Any:
    """How many are likelier: 0 for the likeliest, and every number once."""
    return ops.sum(ops.cast(before, "int32"), axis=-1)
