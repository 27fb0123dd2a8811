"""The state of the rows that are being written, and its changes; each row is at its own position.

A step brings a row one position on, be its token one of the prompt or one that was drawn: so a row that joins with a
long prompt never makes its neighbours wait until the prompt is read.
"""

from typing import Any

import tensorflow as tf

from genservice import Noise
from genservice_autoregressive.network import Decoder
from genservice_autoregressive.sampling import restrict

State = dict[str, tf.Variable]
OPTIONS = ("temperature", "top_k", "top_p", "max_length")


def allocate(decoder: Decoder, slots: int) -> State:
    """Makes the state of `slots` rows.

    Returns:
        By name: keys and values, float32 `[slots, layers, context, d]`; the prompt, int32 `[slots, context - 1]`, and
        its length, int32 `[slots]`; the position of the next step and the token that was drawn last, int32 `[slots]`;
        and the options.
    """
    cache = (slots, len(decoder.blocks), decoder.context, decoder.d)
    shapes = {
        "keys": (cache, tf.float32),
        "values": (cache, tf.float32),
        "prompt": ((slots, decoder.context - 1), tf.int32),
        "prompt_length": ((slots,), tf.int32),
        "position": ((slots,), tf.int32),
        "token": ((slots,), tf.int32),
        "temperature": ((slots,), tf.float32),
        "top_k": ((slots,), tf.int64),
        "top_p": ((slots,), tf.float32),
        "max_length": ((slots,), tf.int64),
    }
    return {name: tf.Variable(tf.zeros(*shape), trainable=False, name=name) for name, shape in shapes.items()}


def enter(state: State, slots: Any, options: Any, prompt: Any) -> None:
    """Puts new rows into slots. Nothing is computed: the steps read the prompt, and what is in the cache is not seen.

    Args:
        state: What `allocate` made.
        slots: int32 `[rows]`.
        options: `OPTIONS` by attribute, `[rows]`.
        prompt: int32 `[rows, context - 1]`, padded with -1.
    """
    nothing = tf.zeros_like(slots)
    rows = {
        "prompt": prompt,
        "prompt_length": tf.reduce_sum(tf.cast(prompt >= 0, tf.int32), axis=-1),
        "position": nothing,
        "token": nothing,
        **{name: getattr(options, name) for name in OPTIONS},
    }
    for name, values in rows.items():
        _write(state[name], slots, values)


def step(decoder: Decoder, state: State, noise: Noise, active: int) -> tuple[Any, Any]:
    """Brings the first rows one position on.

    Args:
        decoder: The network.
        state: What `allocate` made.
        noise: Of these rows, at their steps.
        active: How many rows.

    Returns:
        bool `[active]`, which are done, and int32 `[active]`, the characters drawn: -1 inside a prompt.
    """
    slots = tf.range(active)
    position, length = state["position"][:active], state["prompt_length"][:active]
    logits, keys, values = decoder.step(
        _input(decoder, state, active), position, state["keys"][:active], state["values"][:active]
    )
    temperature, top_k, top_p, most = (state[name][:active] for name in OPTIONS)
    drawn = tf.cast(noise.categorical("token", restrict(logits, temperature, top_k, top_p)), tf.int32)

    # Nothing drawn is negative, which XLA does not know. So it writes the caches when the whole step has read them, and
    # in place; else it copies them first (16 slots: 10 ms a step, not 3.4).
    place = tf.where(drawn < 0, 0, position)
    slot, layer = tf.meshgrid(slots, tf.range(len(decoder.blocks)), indexing="ij")
    places = tf.stack([slot, layer, tf.broadcast_to(place[:, None], slot.shape)], axis=-1)
    state["keys"].scatter_nd_update(places, keys)
    state["values"].scatter_nd_update(places, values)
    _write(state["token"], slots, drawn)
    # A slot whose row is done stays at the last position until another row enters.
    _write(state["position"], slots, tf.minimum(position + 1, decoder.context - 1))

    characters = position + 1
    done = (characters >= length + tf.cast(most, tf.int32)) | (characters >= decoder.context)
    return done, tf.where(characters > length, drawn, -1)


def _input(decoder: Decoder, state: State, active: int) -> Any:
    """The token at each row's position: the begin token, then the prompt's, then what was drawn."""
    position, length = state["position"][:active], state["prompt_length"][:active]
    place = tf.maximum(position - 1, 0)
    of_prompt = tf.gather(state["prompt"][:active], place, axis=1, batch_dims=1)
    token = tf.where(position <= length, of_prompt, state["token"][:active])
    return tf.where(position == 0, decoder.begin, token)


def _write(variable: tf.Variable, slots: Any, rows: Any) -> None:
    variable.scatter_nd_update(slots[:, None], tf.cast(rows, variable.dtype))
