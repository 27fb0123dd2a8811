"""The network: what each position sees, and that the cache changes nothing."""

import numpy as np
import pytest

from genservice_autoregressive.network import rotary_angles, rotate

BEGIN = 10


def batch(rows, positions, seed=0):
    tokens = np.random.default_rng(seed).integers(0, BEGIN, (rows, positions)).astype(np.int32)
    tokens[:, 0] = BEGIN
    return tokens


def test_products_of_rotated_vectors_depend_on_the_distance_alone():
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 8))
    angles = rotary_angles(40, 8)

    def product(m, n):
        left, right = (
            np.asarray(rotate(vector, np.cos(angles[place]), np.sin(angles[place])))
            for vector, place in ((query, m), (key, n))
        )
        return left @ right

    assert product(3, 1) == pytest.approx(product(37, 35), rel=1e-5)
    assert product(3, 1) != pytest.approx(product(3, 2), rel=1e-2)
    assert product(0, 0) == pytest.approx(query @ key, rel=1e-5)


def test_no_position_sees_what_comes_after(tiny):
    tokens = batch(2, 20)
    other = tokens.copy()
    other[:, 12:] = (other[:, 12:] + 1) % BEGIN
    left, right = (np.asarray(tiny._decoder(rows)) for rows in (tokens, other))
    np.testing.assert_allclose(left[:, :12], right[:, :12], atol=1e-6)
    assert np.abs(left[:, 12:] - right[:, 12:]).max() > 1e-2


def test_every_position_sees_all_before_it(tiny):
    tokens = batch(1, 20)
    other = tokens.copy()
    other[:, 1] = (other[:, 1] + 1) % BEGIN
    left, right = (np.asarray(tiny._decoder(rows)) for rows in (tokens, other))
    assert (np.abs(left - right).max(axis=-1)[0, 1:] > 1e-6).all()


@pytest.mark.parametrize("rest", [0.0, 1e30])
def test_steps_with_a_cache_give_what_the_whole_text_gives(tiny, rest):
    decoder = tiny._decoder
    tokens = batch(3, decoder.context)
    whole = np.asarray(decoder(tokens))
    keys, values = (np.full((3, 2, decoder.context, decoder.d), rest, np.float32) for _ in range(2))
    for position in range(decoder.context):
        logits, key, value = decoder.step(tokens[:, position], np.full(3, position, np.int32), keys, values)
        keys[:, :, position], values[:, :, position] = key, value
        np.testing.assert_allclose(np.asarray(logits), whole[:, position], atol=1e-5)


def test_rows_of_one_step_are_at_their_own_positions(tiny):
    decoder = tiny._decoder
    tokens = batch(2, decoder.context)
    whole = np.asarray(decoder(tokens))
    keys, values = (np.zeros((2, 2, decoder.context, decoder.d), np.float32) for _ in range(2))
    for step in range(decoder.context):
        positions = np.array([step, max(step - 9, 0)], np.int32)
        logits, key, value = decoder.step(tokens[[0, 1], positions], positions, keys, values)
        keys[[0, 1], :, positions], values[[0, 1], :, positions] = key, value
        np.testing.assert_allclose(np.asarray(logits), whole[[0, 1], positions], atol=1e-5)
