"""Distances of two distributions, from rows of each."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK_ROWS = 1000
"""Most rows of a block of the kernel distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution.

    Args:
        mean: float64 `[dimensions]`.
        covariance: float64 `[dimensions, dimensions]`.
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def fitted(cls, features: NDArray[Any]) -> Self:
        """The distribution with the mean and the unbiased covariance of some vectors.

        Args:
            features: `[rows, dimensions]`, at least two rows.
        """
        rows = np.asarray(features, np.float64)
        return cls(rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)))


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Squared Fréchet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500, eq. 6).

    d² = |μ₁ - μ₂|² + Tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½). The last trace is taken as that of (Σ₁^½ Σ₂ Σ₁^½)^½, which has the same
    eigenvalues and is symmetric: no complex numbers come up where a covariance is singular.

    Args:
        one: A distribution.
        other: Another, of as many dimensions.
    """
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace_of_root = np.sqrt(np.linalg.eigvalsh(root @ other.covariance @ root).clip(0)).sum()
    difference = one.mean - other.mean
    distance = difference @ difference + np.trace(one.covariance) + np.trace(other.covariance) - 2 * trace_of_root
    return max(float(distance), 0.0)


def kernel_distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Squared maximum mean discrepancy with a cubic kernel (Bińkowski et al. 2018, arXiv:1801.01401, §4).

    The kernel is k(x, y) = (xᵀy / d + 1)³, in d dimensions. The estimate is unbiased: its mean is 0 for two samples of
    one distribution, so it may be less than 0. It is the mean over blocks of at most `BLOCK_ROWS` rows, as there.

    Args:
        one: `[rows, dimensions]`, at least two rows, in no particular order.
        other: Likewise, of as many rows.
    """
    blocks = -(-len(one) // BLOCK_ROWS)
    pairs = zip(np.array_split(one, blocks), np.array_split(other, blocks), strict=True)
    return float(np.mean([_mmd2(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in pairs]))


def _mmd2(x: Floats, y: Floats) -> float:
    """The unbiased estimate of MMD² (Gretton et al. 2012, eq. 3; Bińkowski et al. 2018, eq. 4)."""
    m, n = len(x), len(y)
    k_xx, k_yy, k_xy = _cubic(x, x), _cubic(y, y), _cubic(x, y)
    within_x = (k_xx.sum() - np.trace(k_xx)) / (m * (m - 1))
    within_y = (k_yy.sum() - np.trace(k_yy)) / (n * (n - 1))
    return float(within_x + within_y - 2 * k_xy.mean())


def _cubic(x: Floats, y: Floats) -> Floats:
    values: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return values
