"""Batches of a training: each a function of the seed and the step, each image changed by a few pixels at most."""

import numpy as np
import pytest

from genservice_classifiers.augmentation import AugmentedBatches, augment

IMAGES = np.random.default_rng(0).uniform(-1, 1, (10, 6, 5, 2)).astype(np.float32)
LABELS = np.arange(10)


def batches(*, seed=3, max_shift=0, mirror=False):
    return AugmentedBatches(IMAGES, LABELS, 4, seed=seed, max_shift=max_shift, mirror=mirror)


def test_an_epoch_has_each_image_once_with_its_label():
    drawn = [batches().batch(step) for step in range(3)]
    assert batches().in_epoch == 3
    assert [len(labels) for _, labels in drawn] == [4, 4, 2]
    labels = np.concatenate([labels for _, labels in drawn])
    assert sorted(labels) == LABELS.tolist()
    np.testing.assert_array_equal(np.concatenate([images for images, _ in drawn]), IMAGES[labels])


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(seed, first):
        return [batches(seed=seed).batch(first + step)[1].tolist() for step in range(3)]

    assert order(3, 0) != order(3, 3)
    assert order(3, 0) != order(4, 0)


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    straight = batches(max_shift=2, mirror=True)
    drawn = [straight.batch(step)[0] for step in range(5)]
    np.testing.assert_array_equal(batches(max_shift=2, mirror=True).batch(4)[0], drawn[4])
    np.testing.assert_array_equal(straight.batch(1)[0], drawn[1])


def test_an_image_is_moved_by_whole_pixels_and_the_rest_is_black():
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
    moved = augment(IMAGES, np.random.default_rng(1), max_shift=1, mirror=False)
    shifts = set()
    for image, border in zip(moved, padded, strict=True):
        places = [(y, x) for y in range(3) for x in range(3) if np.array_equal(image, border[y : y + 6, x : x + 5])]
        assert len(places) == 1
        shifts.update(places)
    assert len(shifts) > 3


def test_about_half_of_the_images_are_mirrored_left_to_right():
    images = np.repeat(IMAGES[:1], 400, axis=0)
    changed = augment(images, np.random.default_rng(1), max_shift=0, mirror=True)
    mirrored = (changed == images[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed[~mirrored], images[~mirrored])
    assert mirrored.mean() == pytest.approx(0.5, abs=0.1)
