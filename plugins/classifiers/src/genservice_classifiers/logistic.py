"""The family `logistic-regression`: p(label | x) = softmax(x W + b)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import FitRun
from genservice_classifiers.conversion import (
    Arrays,
    ConvertedClassifier,
    is_image,
    require_shapes,
    table,
    training_table,
)
from genservice_classifiers.projection import deviations

KERNEL, BIAS = "logits/kernel", "logits/bias"


@dataclass(frozen=True)
class LogisticRecipe:
    """Settings of the training.

    Attributes:
        inverse_penalty: scikit-learn's `C`: the inverse of the weight of |W|^2 / 2 beside the sum of the losses.
        most_iterations: Of L-BFGS (Liu & Nocedal 1989), which may end before it has converged.
        standardise: Whether each feature is brought to mean 0 and variance 1: for tables of different units.
    """

    inverse_penalty: float = 0.1
    most_iterations: int = 100
    standardise: bool = False


class LogisticRegression(ConvertedClassifier):
    """Multinomial logistic regression (Bishop 2006, section 4.3.4) on pixels, or on the features of a table."""

    family = "logistic-regression"

    def _set_arrays(self, arrays: Arrays) -> None:
        import tensorflow as tf

        require_shapes(arrays, {KERNEL: (self.features, len(self.labels)), BIAS: (len(self.labels),)})
        self._kernel, self._bias = tf.constant(arrays[KERNEL]), tf.constant(arrays[BIAS])

    def logits(self, inputs: Any, options: Any) -> Any:
        """Logits, `[batch, labels]`: float32 of images, float64 of tables."""
        import tensorflow as tf

        return tf.matmul(self._flat(inputs, self._kernel.dtype), self._kernel) + self._bias

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the regression; the settings are the fields of `LogisticRecipe`."""
        import warnings

        from sklearn import linear_model
        from sklearn.exceptions import ConvergenceWarning

        recipe = run.recipe(LogisticRecipe)
        rows, labels = training_table(run)
        run.progress(0, 2, {})
        # Centred features let L-BFGS converge in a fraction of the iterations.
        mean = rows.mean(axis=0, dtype=np.float64)
        scale = deviations(rows) if recipe.standardise else np.ones_like(mean)
        estimator = linear_model.LogisticRegression(C=recipe.inverse_penalty, max_iter=recipe.most_iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # The recipe says how far it goes.
            estimator.fit(((rows - mean) / scale).astype(np.float32), labels)
        run.progress(1, 2, {})
        kernel, bias = _of_all_labels(estimator.coef_, estimator.intercept_)
        kernel /= scale[:, None]
        bias -= mean @ kernel
        # Features far from zero cancel against the bias: float32 does for pixels, and not for a table.
        dtype = np.float32 if is_image(run.data.train_inputs.shape[1:]) else np.float64
        arrays = {KERNEL: kernel.astype(dtype), BIAS: bias.astype(dtype)}
        held_out = (table(run.data.test_inputs) - mean) / scale
        config = cls._publish(run, arrays, estimator.predict_proba(held_out))
        run.progress(2, 2, {})
        return config


def _of_all_labels(
    coefficients: NDArray[Any], intercepts: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel `[features, labels]` and bias `[labels]`; for two labels scikit-learn keeps those of the second alone."""
    if len(intercepts) == 1:
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    return coefficients.T.astype(np.float64), intercepts.astype(np.float64)
