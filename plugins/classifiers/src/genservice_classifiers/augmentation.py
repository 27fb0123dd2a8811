"""Batches of images, shuffled and changed at random; each is a function of the seed and the step."""

import numpy as np
from numpy.typing import NDArray


class AugmentedBatches:
    """Shuffled batches of randomly translated and mirrored images.

    Batch `step` depends on the seed and the step alone, so that a training can go on where it was cut off.
    """

    def __init__(
        self,
        images: NDArray[np.float32],
        labels: NDArray[np.int64],
        batch_size: int,
        *,
        seed: int,
        max_shift: int,
        mirror: bool,
    ) -> None:
        """Keeps the arrays.

        Args:
            images: float32 `[rows, height, width, channels]` in [-1, 1].
            labels: int64 `[rows]`.
            batch_size: Images a batch; the last of an epoch may have fewer.
            seed: Seeds order and changes.
            max_shift: Largest translation in pixels, each axis.
            mirror: Whether to mirror half of the images.
        """
        self._images = images
        self._labels = labels
        self._batch_size = batch_size
        self._seed = seed
        self._max_shift = max_shift
        self._mirror = mirror
        self._ordered_epoch = -1
        self._order = np.arange(0)
        self.in_epoch = -(-len(images) // batch_size)

    def batch(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Gives the images and labels of a step, counted from 0."""
        epoch, index = divmod(step, self.in_epoch)
        if epoch != self._ordered_epoch:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._images))
            self._ordered_epoch = epoch
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        rng = np.random.default_rng((self._seed, epoch, index + 1))
        return augment(self._images[chosen], rng, max_shift=self._max_shift, mirror=self._mirror), self._labels[chosen]


def augment(
    images: NDArray[np.float32], rng: np.random.Generator, *, max_shift: int, mirror: bool
) -> NDArray[np.float32]:
    """Translates each image by its own whole number of pixels and mirrors half of them.

    Args:
        images: float32 `[batch, height, width, channels]` in [-1, 1]; -1, black, fills what is shifted in.
        rng: Source of randomness.
        max_shift: Largest translation in pixels, each axis.
        mirror: Whether to mirror left to right with probability 1/2.

    Returns:
        A new array like `images`.
    """
    batch, height, width, _ = images.shape
    border = (max_shift, max_shift)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)), constant_values=-1.0)
    top, left = rng.integers(0, 2 * max_shift + 1, size=(2, batch, 1))
    rows, columns = top + np.arange(height), left + np.arange(width)
    if mirror:
        columns = np.where(rng.random((batch, 1)) < 0.5, columns[:, ::-1], columns)
    moved: NDArray[np.float32] = padded[np.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved
