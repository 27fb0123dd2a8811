"""The family, driven by hand through its slots."""

from types import SimpleNamespace

import numpy as np
import pytest

from genservice import ANY_LABEL
from genservice.errors import InvalidRequest, OutOfRange
from genservice.model.noise import Noise, TensorFlowOps, words
from genservice.model.options import parse_options
from genservice_diffusion.family import DiffusionOptions

LABELS = ("ring", "cross", "bar")
SEED = 11


def row(index, *, label=0, guidance_scale=1.5, steps=5):
    return SimpleNamespace(index=index, label=label, guidance_scale=guidance_scale, steps=steps)


class Hand:
    """What the engine does with an iterative model, by hand: rows join at any step, and leave when they are done."""

    def __init__(self, model, slots=8, traced=False):
        import tensorflow as tf

        self.model = model
        self.state = model.allocate(slots)
        self.step_of = tf.function(self._step, autograph=False) if traced else self._step
        self._ops = TensorFlowOps()

    def enter(self, slots, rows):
        options = SimpleNamespace(
            label=np.int64([each.label for each in rows]),
            guidance_scale=np.float32([each.guidance_scale for each in rows]),
            steps=np.int64([each.steps for each in rows]),
        )
        self.model.enter(self.state, np.int32(slots), self.noise([each.index for each in rows]), options, {})

    def noise(self, indexes):
        return Noise(words([SEED] * len(indexes)), words(indexes), np.zeros(len(indexes), np.uint32), self._ops)

    def step(self, active):
        return np.asarray(self.step_of(active))

    def finish(self, slots):
        return np.asarray(self.model.finish(self.state, np.int32(slots)))

    def _step(self, active):
        return self.model.step(self.state, None, active)


@pytest.fixture(scope="module")
def alone(tiny):
    """Draws one row without any other."""
    hand = Hand(tiny, slots=1, traced=True)

    def draw(each):
        hand.enter([0], [each])
        for done in range(each.steps):
            assert hand.step(1)[0] == (done == each.steps - 1)
        return hand.finish([0])[0]

    return draw


def test_the_defaults_are_within_the_bounds():
    options = parse_options(DiffusionOptions, {}, LABELS)
    assert options.label == ANY_LABEL
    assert parse_options(DiffusionOptions, {"label": "cross"}, LABELS).label == 1


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"steps": 101}, {"guidance_scale": -0.1}, {"guidance_scale": 10.5}, {"label": 3}]
)
def test_an_option_beyond_its_bounds_is_refused(options):
    with pytest.raises(OutOfRange):
        parse_options(DiffusionOptions, options, LABELS)


def test_a_label_that_is_not_known_is_refused():
    with pytest.raises(InvalidRequest, match="circle"):
        parse_options(DiffusionOptions, {"label": "circle"}, LABELS)


def test_a_row_takes_as_many_steps_as_it_was_asked_for(tiny, alone):
    for steps in (1, 2, 7):
        sample = alone(row(0, steps=steps))
        assert sample.shape == tiny.event.shape
        assert sample.dtype == np.float32
        assert np.abs(sample).max() <= 1


@pytest.mark.parametrize("traced", [False, True])
def test_rows_of_all_kinds_share_their_steps(tiny, alone, traced):
    rows = [
        row(0, steps=3),
        row(1, label=2, steps=7, guidance_scale=4.0),
        row(2, label=ANY_LABEL, steps=1),
        row(3, label=1, steps=6, guidance_scale=0.0),
    ]
    hand = Hand(tiny, traced=traced)
    hand.enter([0, 1, 2, 3], rows)
    samples, done = {}, np.zeros(4, bool)
    while not done.all():
        newly = hand.step(4) & ~done
        samples |= {place: hand.finish([place])[0] for place in np.flatnonzero(newly)}
        done |= newly
    for place, each in enumerate(rows):
        np.testing.assert_allclose(samples[place], alone(each), atol=tiny.tolerance)


def test_a_row_that_joins_late_and_elsewhere_is_the_same_row(tiny, alone):
    late = row(42, label=2, steps=6)
    hand = Hand(tiny)
    hand.enter([0, 1], [row(0, steps=20), row(1, steps=20)])
    for _ in range(4):
        hand.step(2)
    hand.enter([2, 3, 3], [row(7), late, late])  # The padding of a batch repeats its last row.
    for _ in range(5):
        assert not hand.step(4)[3]
    assert hand.step(8)[3]
    np.testing.assert_allclose(hand.finish([3])[0], alone(late), atol=tiny.tolerance)


def test_a_row_that_is_moved_goes_on(tiny, alone):
    moved = row(5, steps=8)
    hand = Hand(tiny)
    hand.enter([0, 1, 2], [row(0), row(1), moved])
    for _ in range(3):
        hand.step(4)
    for variable in hand.state.values():
        variable.scatter_nd_update([[0]], variable[2:3])
    for _ in range(5):
        done = hand.step(1)
    assert done[0]
    np.testing.assert_allclose(hand.finish([0])[0], alone(moved), atol=tiny.tolerance)


def test_a_slot_can_be_used_again(tiny, alone):
    hand = Hand(tiny, slots=1)
    for index in (3, 4):
        hand.enter([0], [row(index)])
        while not hand.step(1)[0]:
            pass
        np.testing.assert_allclose(hand.finish([0])[0], alone(row(index)), atol=tiny.tolerance)


def test_a_row_that_is_done_stays_as_it_is(tiny):
    hand = Hand(tiny)
    hand.enter([0], [row(0, steps=3)])
    for _ in range(3):
        hand.step(1)
    sample = hand.finish([0])
    for _ in range(5):
        assert hand.step(1)[0]
    np.testing.assert_array_equal(hand.finish([0]), sample)


def test_slots_that_never_had_a_row_do_no_harm(tiny):
    hand = Hand(tiny)
    assert hand.step(8).all()
    assert all(np.isfinite(variable.numpy()).all() for variable in hand.state.values())


def test_previews_are_images_that_lead_to_the_sample(tiny):
    hand = Hand(tiny, slots=1)
    hand.enter([0], [row(0, steps=10)])
    previews = [hand.finish([0])[0]]
    for _ in range(10):
        hand.step(1)
        previews.append(hand.finish([0])[0])
    assert all(np.abs(preview).max() <= 1 for preview in previews)
    assert np.ptp(previews[0]) == 0  # No noise in it: nothing is known yet but the mean.
    distances = [np.abs(preview - previews[-1]).mean() for preview in previews]
    assert distances[-2] < distances[5] < distances[1]


def test_seed_and_index_give_the_sample_and_the_label(tiny, alone):
    one, other = (alone(row(index)) for index in (0, 1))
    assert np.abs(one - other).max() > 0.01
    hand = Hand(tiny, slots=300)
    hand.enter(range(300), [row(index, label=ANY_LABEL) for index in range(300)])
    labels = hand.state["label"].numpy()
    assert sorted(set(labels)) == [0, 1, 2]
    assert np.bincount(labels).min() > 60
    # A drawn label is a label like any other.
    asked = alone(row(9, label=int(labels[9])))
    np.testing.assert_array_equal(alone(row(9, label=ANY_LABEL)), asked)


def guided(model, guidance_scale, label):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    sigmas, labels = np.float32([0.5, 3.0]), np.int32([label, label])
    return np.asarray(model._guided(images, sigmas, labels, np.full(2, guidance_scale, np.float32)))


def test_guidance_leads_from_no_label_through_the_label_and_beyond(tiny):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    sigmas = np.float32([0.5, 3.0])
    of_label, of_none = (np.asarray(tiny._denoiser(images, sigmas, np.int32([label] * 2))) for label in (1, 3))
    np.testing.assert_allclose(guided(tiny, 0.0, 1), of_none, atol=1e-5)
    np.testing.assert_allclose(guided(tiny, 1.0, 1), of_label, atol=1e-5)
    np.testing.assert_allclose(guided(tiny, 3.0, 1), of_none + 3 * (of_label - of_none), atol=1e-4)


def test_without_guidance_the_label_does_not_matter_at_zero(tiny, alone):
    np.testing.assert_allclose(
        alone(row(0, label=0, guidance_scale=0.0)), alone(row(0, label=2, guidance_scale=0.0)), atol=1e-5
    )


def test_it_can_be_sampled_without_an_engine(tiny, alone):
    hand = Hand(tiny)
    options = SimpleNamespace(label=np.int64([0, 1]), guidance_scale=np.float32([1, 2]), steps=np.int64([4, 6]))
    samples = tiny.sample(hand.noise([0, 1]), options, {})
    for index, each in enumerate((row(0, guidance_scale=1, steps=4), row(1, label=1, guidance_scale=2, steps=6))):
        np.testing.assert_allclose(samples[index], alone(each), atol=tiny.tolerance)
