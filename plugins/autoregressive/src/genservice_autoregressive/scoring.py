"""The probability of whole texts."""

from typing import Any

from keras import ops

from genservice_autoregressive.network import Decoder


def log_prob(decoder: Decoder, tokens: Any) -> Any:
    """Gives log p(x), with everything before a character in sight, from the begin token on.

    Args:
        decoder: The network.
        tokens: int32 `[batch, characters]`, padded with -1; fewer than the decoder's context.

    Returns:
        float32 `[batch]`, in nats; 0 for the empty text.
    """
    targets = ops.maximum(tokens, 0)
    begin = ops.full_like(targets[:, :1], decoder.begin)
    log_probs = ops.log_softmax(decoder(ops.concatenate([begin, targets[:, :-1]], axis=1)))
    chosen = ops.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]
    return ops.sum(ops.where(tokens >= 0, chosen, 0.0), axis=-1)
