"""Principal components, and the grid of whole numbers that training rows are rounded to."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice_classifiers.conversion import Arrays

MEAN, COMPONENTS = "projection/mean", "projection/components"

_GREATEST_INT8 = 127


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Maps rows to principal components (Bishop 2006, section 12.1), in steps of a grid.

    Training rows are rounded to whole steps and so fit into int8 exactly; other rows are not rounded.

    Args:
        mean: float32 `[features]`.
        components: float32 `[features, components]`, orthogonal, each as long as one over the step of the grid.
        step: The step of the grid, in units of the rows; of standardised rows, in their standard deviations.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    step: float

    @classmethod
    def fitted(cls, rows: NDArray[np.float32], count: int, *, standardise: bool) -> tuple[Self, NDArray[np.int8]]:
        """Finds the components of greatest variance.

        Args:
            rows: float32 `[rows, features]`.
            count: How many components; at most as many as there are features and rows.
            standardise: Whether each feature is brought to variance 1 first: for tables of different units.

        Returns:
            The projection, and the rows rounded to whole steps, int8 `[rows, components]`.

        Raises:
            DataError: All rows are equal.
        """
        from sklearn.decomposition import PCA

        if (rows == rows[0]).all():
            raise DataError("All rows are equal: there are no principal components to tell them apart by.")
        mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = deviations(rows) if standardise else np.ones(rows.shape[1])
        centred = (rows - mean) / scale
        analysis = PCA(min(count, *rows.shape), svd_solver="covariance_eigh").fit(centred)
        components = analysis.components_.T / scale[:, None]
        step = float(np.abs((rows - mean) @ components).max() / _GREATEST_INT8)
        projection = cls(mean, (components / step).astype(np.float32), step)
        rounded = np.rint(projection(rows)).clip(-_GREATEST_INT8, _GREATEST_INT8)
        return projection, rounded.astype(np.int8)

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Projects with NumPy: float64 `[rows, components]`, in steps."""
        return (rows.astype(np.float64) - self.mean) @ self.components.astype(np.float64)

    def arrays(self) -> Arrays:
        """What a version stores."""
        return {MEAN: self.mean, COMPONENTS: self.components}


class ProjectionGraph:
    """The same in TensorFlow, in float64: neighbours and votes that are almost tied shall not depend on rounding.

    Args:
        arrays: Those of a `Projection`.
    """

    def __init__(self, arrays: Arrays) -> None:
        import tensorflow as tf

        self._mean = tf.constant(arrays[MEAN], tf.float64)
        self._components = tf.constant(arrays[COMPONENTS], tf.float64)

    def __call__(self, rows: Any) -> Any:
        """Maps float64 `[batch, features]` to float64 `[batch, components]`, in steps."""
        import tensorflow as tf

        return tf.matmul(rows - self._mean, self._components)


def deviations(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation of each feature; 1 where it does not vary."""
    deviation = rows.std(axis=0, dtype=np.float64)
    return np.where(deviation > 0, deviation, 1)


def squared_distances(rows: Any, others: Any) -> Any:
    """Squared Euclidean distances by |a - b|^2 = |a|^2 - 2 a b + |b|^2: one product of matrices.

    Args:
        rows: float64 `[batch, components]`.
        others: float64 `[others, components]`.

    Returns:
        float64 `[batch, others]`, 0 or greater.
    """
    import tensorflow as tf

    lengths = tf.reduce_sum(rows**2, axis=1)[:, None] + tf.reduce_sum(others**2, axis=1)
    return tf.maximum(lengths - 2 * tf.matmul(rows, others, transpose_b=True), 0)
