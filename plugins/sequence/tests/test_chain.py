"""Inference against what it stands for: sums and maxima over all labellings."""

from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from genservice_sequence.chain import Chain


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec([None, None, None], tf.float64),
        tf.TensorSpec([None, None], tf.float64),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, None], tf.int32),
    ],
)
def infer(unary, transitions, lengths, labels):
    chain = Chain(unary, transitions, lengths)
    return {
        "log_z": chain.log_z(),
        "marginals": chain.marginals(),
        "viterbi": chain.viterbi(),
        "log_prob": chain.log_prob(labels),
        "log_alpha": chain.log_alpha(),
        "log_beta": chain.log_beta(),
    }


def run(unary, transitions, lengths, labels=None):
    labels = np.zeros(unary.shape[:2], np.int32) if labels is None else labels
    return {name: value.numpy() for name, value in infer(unary, transitions, np.int32(lengths), labels).items()}


def log_psi(unary, transitions, labels):
    """The sum of the log factors of one labelling of one sequence."""
    return sum(unary[t, label] for t, label in enumerate(labels)) + sum(
        transitions[before, after] for before, after in pairwise(labels)
    )


def by_force(unary, transitions):
    """All labellings of one sequence, log Z, and the probability of each labelling."""
    labellings = list(product(range(unary.shape[1]), repeat=len(unary)))
    logs = np.array([log_psi(unary, transitions, labels) for labels in labellings])
    log_z = np.logaddexp.reduce(logs)
    return labellings, log_z, np.exp(logs - log_z)


@st.composite
def chains(draw):
    """Random factors of up to four sequences of up to four positions and labels; some of them large."""
    batch, positions, labels = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 0.1, 1.0, 30.0, 1e3]))
    lengths = draw(st.lists(st.integers(1, positions), min_size=batch, max_size=batch))
    unary = scale * rng.standard_normal((batch, positions, labels))
    return unary, scale * rng.standard_normal((labels, labels)), lengths


@settings(max_examples=40, deadline=None, derandomize=True)
@given(chains())
def test_everything_is_what_the_sums_over_all_labellings_say(chain):
    unary, transitions, lengths = chain
    result = run(unary, transitions, lengths)
    for row, length in enumerate(lengths):
        labellings, log_z, probabilities = by_force(unary[row, :length], transitions)
        np.testing.assert_allclose(result["log_z"][row], log_z, rtol=1e-12, atol=1e-9)
        for t, label in product(range(length), range(unary.shape[2])):
            wanted = sum(p for p, labels in zip(probabilities, labellings, strict=True) if labels[t] == label)
            assert result["marginals"][row, t, label] == pytest.approx(wanted, abs=1e-9)
        best = result["viterbi"][row, :length]
        assert log_psi(unary[row], transitions, best) - log_z == pytest.approx(np.log(probabilities.max()), abs=1e-6)
        np.testing.assert_allclose(
            result["log_prob"][row], log_psi(unary[row], transitions, [0] * length) - log_z, rtol=1e-12, atol=1e-9
        )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(chains())
def test_forward_and_backward_variables_meet_at_every_position(chain):
    unary, transitions, lengths = chain
    result = run(unary, transitions, lengths)
    meeting = np.logaddexp.reduce(result["log_alpha"] + result["log_beta"], axis=2)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(meeting[:length, row], result["log_z"][row], rtol=1e-12, atol=1e-9)


def test_the_probabilities_of_all_labellings_sum_to_one():
    rng = np.random.default_rng(1)
    labels = np.array(list(product(range(3), repeat=4)), np.int32)
    unary = np.broadcast_to(rng.standard_normal((1, 4, 3)), (81, 4, 3))
    log_prob = run(unary, rng.standard_normal((3, 3)), [4] * 81, labels)["log_prob"]
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(chains(), st.integers(1, 5), st.sampled_from([0.0, 7.0, -1e6]))
def test_padding_never_changes_an_answer(chain, more, content):
    unary, transitions, lengths = chain
    result = run(unary, transitions, lengths)
    padded = np.pad(unary, ((0, 0), (0, more), (0, 0)), constant_values=content)
    after = run(padded, transitions, lengths)
    # Equal but for the last bits, which depend on the place in a vector register.
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    close(after["log_z"], result["log_z"])
    close(after["log_prob"], result["log_prob"])
    for row, length in enumerate(lengths):
        close(after["marginals"][row, :length], result["marginals"][row, :length])
        np.testing.assert_array_equal(after["viterbi"][row, :length], result["viterbi"][row, :length])


def test_the_gradient_of_log_z_is_the_marginals():
    rng = np.random.default_rng(2)
    unary, transitions = tf.constant(rng.standard_normal((3, 5, 4))), tf.constant(rng.standard_normal((4, 4)))
    chain = Chain(unary, transitions, tf.constant([5, 1, 3]))
    with tf.GradientTape() as tape:
        tape.watch(unary)
        log_z = chain.log_z()
    gradient = tape.gradient(log_z, unary).numpy()
    for row, length in enumerate([5, 1, 3]):
        np.testing.assert_allclose(gradient[row, :length], chain.marginals().numpy()[row, :length], atol=1e-12)
        assert not gradient[row, length:].any()
