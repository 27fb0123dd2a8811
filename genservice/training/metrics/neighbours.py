"""What nearest neighbours tell: precision and recall of samples, and copies of training data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK_ELEMENTS = 1 << 23
"""Most distances that are held at a time."""


def precision_and_recall(samples: NDArray[Any], real: NDArray[Any], k: int = 3) -> tuple[float, float]:
    """How much of the samples looks real, and how much of what is real is drawn.

    Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2): the manifold of a set of
    vectors Φ is the union of balls around each, of the radius of the distance to its k-th nearest neighbour in Φ.
    Precision is the part of the samples in the manifold of the real rows, recall that of the real rows in that of the
    samples.

    Args:
        samples: `[rows, dimensions]`, more than `k`.
        real: Likewise.
        k: As in the paper, which takes 3.

    Returns:
        Precision, recall; each from 0 to 1.
    """
    samples, real = np.asarray(samples, np.float64), np.asarray(real, np.float64)
    middle = real.mean(axis=0)
    samples, real = samples - middle, real - middle
    sample_radii, real_radii = _radii(samples, k), _radii(real, k)
    precise = np.zeros(len(samples), bool)
    recalled = np.zeros(len(real), bool)
    for start, distances in _blocks(samples, real):
        rows = slice(start, start + len(distances))
        precise[rows] = (distances <= real_radii).any(axis=1)
        recalled |= (distances <= sample_radii[rows, None]).any(axis=0)
    return float(precise.mean()), float(recalled.mean())


def nearest_distances(rows: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """The Euclidean distance of each row to the nearest reference row.

    Args:
        rows: `[rows, dimensions]`.
        reference: `[reference_rows, dimensions]`.

    Returns:
        float64 `[rows]`.
    """
    middle = np.asarray(reference.mean(axis=0), np.float32)
    near, far = (np.asarray(array, np.float32) - middle for array in (rows, reference))
    # Which row is nearest is found in float32, its distance in float64: that of a copy is 0.
    nearest = np.concatenate([distances.argmin(axis=1) for _, distances in _blocks(near, far)])
    differences: Floats = np.asarray(rows, np.float64) - reference[nearest]
    distances: Floats = np.sqrt((differences**2).sum(axis=1))
    return distances


def near_copies(
    samples: NDArray[Any], held_out: NDArray[Any], training: NDArray[Any], percentile: float = 1
) -> tuple[float, float]:
    """Part of the samples that are nearer to a row of the training data than new real data comes.

    The measure is ours; Meehan, Chaudhuri & Dasgupta 2020 (arXiv:2004.05675) compare the same two distributions of
    distances. Near is what is closer to its nearest training row than all but `percentile` percent of the rows that are
    held out.

    Args:
        samples: `[rows, dimensions]`.
        held_out: Real rows that are not in the training data.
        training: The training data.
        percentile: Of the distances of held-out rows, in percent.

    Returns:
        The part of the samples, and that of the held-out rows, which is about `percentile` percent.
    """
    real = nearest_distances(held_out, training)
    near = np.percentile(real, percentile)
    return float(np.mean(nearest_distances(samples, training) < near)), float(np.mean(real < near))


def _radii(rows: Floats, k: int) -> Floats:
    """Distance of each row to its k-th nearest other row."""
    return np.concatenate(
        # The nearest is the row itself.
        [np.partition(distances, k, axis=1)[:, k] for _, distances in _blocks(rows, rows)]
    )


def _blocks(rows: NDArray[Any], others: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Distances of rows to all others, some rows at a time.

    Yields:
        The first row's place, and the distances `[some_rows, others]`.
    """
    step = max(1, _BLOCK_ELEMENTS // len(others))
    lengths = (others**2).sum(axis=1)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        squares = (block**2).sum(axis=1)[:, None] + lengths - 2 * block @ others.T
        yield start, np.sqrt(squares.clip(0))
