"""Gaussian densities and draws, many Gaussians at a time, in float64."""

from abc import ABC, abstractmethod
from math import log, pi
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class Gaussians(ABC):
    """N(x | mu_k, Sigma_k) for k = 1 .. K (Bishop 2006, equation 2.43), by a factor A_k of Sigma_k = A_k A_k^T.

    Args:
        means: mu, float64 `[components, dimensions]`.
        log_determinants: ln |A_k|, half of ln |Sigma_k|, float64 `[components]`.
    """

    def __init__(self, means: NDArray[np.float64], log_determinants: NDArray[np.float64]) -> None:
        self._means = tf.constant(means)
        self._log_normalisers = tf.constant(means.shape[1] / 2 * log(2 * pi) + log_determinants)

    def log_density(self, rows: Any) -> Any:
        """Gives ln N(x | mu_k, Sigma_k).

        Args:
            rows: x, float64 `[batch, dimensions]`.

        Returns:
            float64 `[batch, components]`.
        """
        # The squared Mahalanobis distance is |A^-1 (x - mu)|^2 (equation 2.44).
        whitened = self._whiten(rows[:, None, :] - self._means)
        return -tf.reduce_sum(tf.square(whitened), axis=2) / 2 - self._log_normalisers

    def draw(self, components: Any, standard: Any) -> Any:
        """Draws x = mu_k + A_k z, which is distributed as N(mu_k, Sigma_k) (section 11.1.1).

        Args:
            components: k of each row, int64 `[batch]`.
            standard: z, standard normal, float64 `[batch, dimensions]`.

        Returns:
            float64 `[batch, dimensions]`.
        """
        return tf.gather(self._means, components) + self._colour(components, standard)

    @abstractmethod
    def _whiten(self, differences: Any) -> Any:
        """A_k^-1 d for each component: `[batch, components, dimensions]` to the same."""

    @abstractmethod
    def _colour(self, components: Any, standard: Any) -> Any:
        """A_k z for the component k of each row."""


class DiagonalGaussians(Gaussians):
    """Gaussians whose covariances are diagonal.

    Args:
        means: float64 `[components, dimensions]`.
        variances: The diagonals, float64 `[components, dimensions]`.
    """

    def __init__(self, means: NDArray[np.float64], variances: NDArray[np.float64]) -> None:
        deviations = np.sqrt(variances)
        super().__init__(means, np.log(deviations).sum(axis=1))
        self._deviations = tf.constant(deviations)

    def _whiten(self, differences: Any) -> Any:
        return differences / self._deviations

    def _colour(self, components: Any, standard: Any) -> Any:
        return tf.gather(self._deviations, components) * standard


class FullGaussians(Gaussians):
    """Gaussians with full covariances.

    Args:
        means: float64 `[components, dimensions]`.
        factors: Lower triangles of the Cholesky factors, row by row, float64
            `[components, dimensions * (dimensions + 1) / 2]`.
    """

    def __init__(self, means: NDArray[np.float64], factors: NDArray[np.float64]) -> None:
        components, dimensions = means.shape
        lower = np.zeros((components, dimensions, dimensions))
        lower[:, *np.tril_indices(dimensions)] = factors
        super().__init__(means, np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1))
        self._lower = tf.constant(lower)
        self._inverses = tf.constant(np.linalg.inv(lower))

    def _whiten(self, differences: Any) -> Any:
        return tf.einsum("kij,bkj->bki", self._inverses, differences)

    def _colour(self, components: Any, standard: Any) -> Any:
        return tf.linalg.matvec(tf.gather(self._lower, components), standard)
