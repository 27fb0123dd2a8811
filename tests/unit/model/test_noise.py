import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genservice.errors import PluginError
from genservice.model.noise import Noise, NumPyOps, TensorFlowOps, philox4x32, words

# Random123's kat_vectors, philox 4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]

SITES_OF_ONE_NUMBER = ("s696", "s820")


def hexadecimal(text):
    return [int(word, 16) for word in text.split()]


def columns(texts):
    """Words of all vectors, one array a word."""
    return [np.array(column, np.uint32) for column in zip(*map(hexadecimal, texts), strict=True)]


COUNTERS, KEYS, ANSWERS = map(columns, zip(*KNOWN_ANSWERS, strict=True))

uint64 = st.integers(0, 2**64 - 1)
addresses = st.lists(st.tuples(uint64, uint64, st.integers(0, 2**32 - 1)), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def noise_of(rows, ops=None):
    """The noise of rows, each `(seed, index, step)`."""
    seeds, indexes, steps = zip(*rows, strict=True)
    return Noise(words(seeds), words(indexes), np.array(steps, np.uint32), ops)


def test_philox_gives_the_known_answers_with_numpy():
    assert np.array_equal(philox4x32(COUNTERS, KEYS, NumPyOps()), ANSWERS)


@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "traced", "xla"])
def test_philox_gives_the_known_answers_with_tensorflow(tf, jit_compile):
    ops = TensorFlowOps()

    def run(counters, keys):
        return philox4x32(tf.unstack(counters), tf.unstack(keys), ops)

    if jit_compile is not None:
        run = tf.function(run, jit_compile=jit_compile)
    assert np.array_equal(run(tf.constant(np.array(COUNTERS)), tf.constant(np.array(KEYS))), ANSWERS)


@given(uint64)
def test_a_64_bit_integer_is_split_low_word_first(value):
    assert words([value]).tolist() == [[value & 0xFFFFFFFF, value >> 32]]


def test_numbers_outside_64_bits_are_refused():
    for value in (-1, 2**64):
        with pytest.raises(OverflowError):
            words([value])


@settings(max_examples=50, deadline=None)
@given(addresses, st.randoms(use_true_random=False), st.sampled_from([(), (1,), (5,), (2, 3)]))
def test_a_row_has_its_noise_whatever_its_neighbours_and_its_place(rows, random, shape):
    order = random.sample(range(len(rows)), len(rows))
    together, shuffled = noise_of(rows), noise_of([rows[place] for place in order])
    for draw in ("uniform", "normal"):
        numbers = getattr(together, draw)(draw, shape)
        assert np.array_equal(numbers[order], getattr(shuffled, draw)(draw, shape))
        assert np.array_equal(numbers[:1], getattr(noise_of(rows[:1]), draw)(draw, shape))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (7,), (3, 5), (2, 1, 3)])
def test_noise_has_the_shape_asked_for_in_float32(shape):
    noise = noise_of([(1, 2, 0), (3, 4, 0)])
    for numbers in (noise.uniform("u", shape), noise.normal("n", shape)):
        assert numbers.shape == (2, *shape)
        assert numbers.dtype == np.float32


def test_fewer_numbers_are_the_beginning_of_more():
    rows = [(1, 2, 0)]
    assert np.array_equal(noise_of(rows).normal("z", (5,)), noise_of(rows).normal("z", (90,))[:, :5])


@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "traced", "xla"])
def test_tensorflow_draws_what_numpy_draws(tf, jit_compile):
    rows = [(7, 0, 0), (7, 2**40, 3), (2**63 + 5, 1, 0)]
    ops = TensorFlowOps()
    logits = np.linspace(-1, 1, 30, dtype=np.float32).reshape(3, 10)

    def draw(seeds, indexes, steps, logits):
        noise = Noise(seeds, indexes, steps, ops)
        return noise.uniform("u", (5,)), noise.normal("n", (2, 3)), noise.categorical("c", logits), noise.normal("s")

    if jit_compile is not None:
        signature = [
            tf.TensorSpec([3 if jit_compile else None, 2], tf.uint32),
            tf.TensorSpec([3 if jit_compile else None, 2], tf.uint32),
            tf.TensorSpec([3 if jit_compile else None], tf.uint32),
            tf.TensorSpec([3 if jit_compile else None, 10], tf.float32),
        ]
        draw = tf.function(draw, input_signature=signature, jit_compile=jit_compile)
    seeds, indexes, steps = zip(*rows, strict=True)
    uniform, normal, category, scalar = draw(
        tf.constant(words(seeds)), tf.constant(words(indexes)), tf.constant(steps, tf.uint32), tf.constant(logits)
    )
    expected = noise_of(rows)
    assert np.array_equal(uniform, expected.uniform("u", (5,)))
    np.testing.assert_allclose(normal, expected.normal("n", (2, 3)), atol=2e-6)
    assert np.array_equal(category, expected.categorical("c", logits))
    np.testing.assert_allclose(scalar, expected.normal("s"), atol=2e-6)
    assert category.dtype == tf.int64


def test_a_traced_row_has_its_noise_at_any_place_of_any_batch(tf):
    ops = TensorFlowOps()

    @tf.function(
        input_signature=[tf.TensorSpec([None, 2], tf.uint32)] * 2 + [tf.TensorSpec([None], tf.uint32)],
    )
    def draw(seeds, indexes, steps):
        return Noise(seeds, indexes, steps, ops).uniform("u", (6,))

    def run(rows):
        seeds, indexes, steps = zip(*rows, strict=True)
        return draw(tf.constant(words(seeds)), tf.constant(words(indexes)), tf.constant(steps, tf.uint32)).numpy()

    row, others = (5, 6, 7), [(1, index, 0) for index in range(9)]
    alone = run([row])
    for place in (0, 4, 9):
        assert np.array_equal(run([*others[:place], row, *others[place:]])[place], alone[0])


def test_uniform_numbers_lie_in_the_open_interval_and_are_even():
    numbers = noise_of([(0, index, 0) for index in range(100)]).uniform("u", (10_000,))
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert np.array_equal(numbers * 2**24 % 2, np.ones_like(numbers))
    counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 149, "chi-squared of 99 degrees of freedom, p = 0.001"


@pytest.mark.parametrize(("bits", "expected"), [(0, 2.0**-24), (0xFFFFFFFF, 1 - 2.0**-24)])
def test_the_extreme_words_give_neither_0_nor_1(bits, expected):
    class Extreme(NumPyOps):
        def top_bits(self, values):
            return super().top_bits(np.full_like(values, bits))

    noise = noise_of([(0, 0, 0)], Extreme())
    assert np.all(noise.uniform("u", (4,)) == np.float32(expected))
    assert np.isfinite(noise.normal("n", (4,))).all()
    assert noise.categorical("c", np.zeros((1, 3), np.float32)) == 0


def test_normal_numbers_have_the_moments_of_the_standard_normal():
    numbers = noise_of([(0, index, 0) for index in range(100)]).normal("n", (10_000,)).astype(np.float64)
    standard_error = 1e-3
    assert abs(numbers.mean()) < 4 * standard_error
    assert abs((numbers**2).mean() - 1) < 4 * standard_error * 2**0.5
    assert abs((numbers**3).mean()) < 4 * standard_error * 15**0.5
    assert abs((numbers**4).mean() - 3) < 4 * standard_error * 96**0.5


def test_neighbouring_numbers_rows_and_sites_are_not_correlated():
    noise = noise_of([(0, index, 0) for index in range(1000)])
    numbers, other = noise.normal("a", (100,)), noise.normal("b", (100,))
    pairs = [(numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:]), (numbers, other)]
    for left, right in pairs:
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 4 / left.size**0.5


def test_categories_come_as_often_as_their_probabilities():
    probabilities = np.array([0.5, 0.3, 0.2], np.float32)
    logits = np.broadcast_to(np.log(probabilities) + 3, (20_000, 3))
    categories = noise_of([(0, index, 0) for index in range(20_000)]).categorical("c", logits)
    assert categories.dtype == np.int64
    counts = np.bincount(categories, minlength=3)
    assert (((counts - 20_000 * probabilities) ** 2) / (20_000 * probabilities)).sum() < 13.8


def test_a_category_of_probability_0_never_comes():
    logits = np.broadcast_to(np.array([0, -np.inf, 0], np.float32), (1000, 3))
    categories = noise_of([(0, index, 0) for index in range(1000)]).categorical("c", logits)
    assert set(categories) == {0, 2}


@pytest.mark.parametrize(
    "other",
    [(2, 1, 1), (1 + 2**32, 1, 1), (1, 2, 1), (1, 1 + 2**32, 1), (1, 1, 2)],
    ids=["seed", "high word of the seed", "index", "high word of the index", "step"],
)
def test_each_part_of_the_address_changes_the_noise(other):
    one, two = noise_of([(1, 1, 1), other]).uniform("u", (8,))
    assert not np.any(one == two)


def test_sites_have_different_noise():
    noise = noise_of([(1, 1, 1)])
    assert not np.any(noise.uniform("a", (8,)) == noise.uniform("b", (8,)))


def test_a_site_asked_twice_is_refused():
    noise = noise_of([(1, 1, 1)])
    noise.uniform("z")
    with pytest.raises(PluginError, match="'z' is asked twice in one call"):
        noise.normal("z", (3,))


def test_two_sites_of_one_number_are_refused_and_both_are_named():
    one, two = SITES_OF_ONE_NUMBER
    noise = noise_of([(1, 1, 1)])
    noise.uniform(one)
    with pytest.raises(PluginError, match=f"'{two}' collides with '{one}': give it another name"):
        noise.uniform(two)


def test_a_site_gives_four_numbers_a_block_and_refuses_more_than_it_has():
    most = 4 * 2**20
    assert noise_of([(1, 1, 1)]).uniform("u", (most,)).shape == (1, most)
    with pytest.raises(PluginError, match=f"asks for {most + 1} numbers a row; the most is {most}"):
        noise_of([(1, 1, 1)]).uniform("u", (most + 1,))


def test_the_last_block_of_a_site_does_not_run_into_another_site():
    blocks = {}
    for site in ("a", "b", *SITES_OF_ONE_NUMBER[:1]):
        blocks[site] = noise_of([(1, 1, 1)]).uniform(site, (4 * 2**20,))[0, -4:]
    assert len({tuple(block) for block in blocks.values()}) == 3


def test_noise_is_the_same_in_every_process():
    script = (
        "import numpy as np; from genservice.model.noise import Noise, words;"
        "print(Noise(words([1]), words([2]), np.array([3], np.uint32)).uniform('z', (3,)).tolist())"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(noise_of([(1, 2, 3)]).uniform("z", (3,)).tolist())
