"""The family `svm`: support vector machines with a linear or a Gaussian kernel, and calibrated probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import FitRun
from genservice.errors import DataError, SettingsError
from genservice_classifiers.conversion import Arrays, ConvertedClassifier, require_shapes, table, training_table
from genservice_classifiers.projection import COMPONENTS, MEAN, Projection, ProjectionGraph, squared_distances

KERNELS = ("linear", "rbf")

VECTORS, SUPPORTS, DUAL = "support/vectors", "support/of_label", "support/dual"
WEIGHTS, BIAS = "pairs/weights", "pairs/bias"
SLOPE, OFFSET = "calibration/slope", "calibration/offset"


@dataclass(frozen=True)
class SvmRecipe:
    """Settings of the training.

    Attributes:
        kernel: `linear`, or `rbf`: exp(-gamma |x - y|^2).
        penalty: scikit-learn's `C`, of the rows inside the margin.
        components: Principal components that the machines see, at most; rows of the training are rounded to int8.
        calibration_share: Share of the training rows that the probabilities are fitted on, and the machines are not.
        standardise: Whether each feature is brought to variance 1 first: for tables of different units.
    """

    kernel: str = "rbf"
    penalty: float = 5.0
    components: int = 50
    calibration_share: float = 1 / 6
    standardise: bool = False


class SupportVectorMachine(ConvertedClassifier):
    """One machine for each pair of labels (Cortes & Vapnik 1995), as libsvm has them, and Platt's calibration.

    Everything is float64: one vote that rounding turns would move the probabilities by more than their tolerance.

    Args:
        config: As `ConvertedClassifier`'s, and `kernel`; with the kernel `rbf` also `gamma`.
    """

    family = "svm"

    def _set_arrays(self, arrays: Arrays) -> None:
        import tensorflow as tf

        labels = len(self.labels)
        pairs = labels * (labels - 1) // 2
        scores = _scores(labels)
        self._linear = self.config["kernel"] == "linear"
        own: dict[str, tuple[int | None, ...]] = (
            {WEIGHTS: (None, pairs)}
            if self._linear
            else {VECTORS: (None, None), SUPPORTS: (labels,), DUAL: (labels - 1, None)}
        )
        shared: dict[str, tuple[int | None, ...]] = {
            MEAN: (self.features,),
            COMPONENTS: (self.features, None),
            BIAS: (pairs,),
            SLOPE: (scores,),
            OFFSET: (scores,),
        }
        require_shapes(arrays, own | shared)
        self._projection = ProjectionGraph(arrays)
        if self._linear:
            self._weights = tf.constant(arrays[WEIGHTS])
        else:
            self._vectors = tf.constant(arrays[VECTORS], tf.float64)
            self._weights = tf.constant(_pair_coefficients(arrays[DUAL], arrays[SUPPORTS]))
        self._bias, self._slope, self._offset = (tf.constant(arrays[name]) for name in (BIAS, SLOPE, OFFSET))
        members = np.array(list(combinations(range(labels), 2)))
        self._first, self._second = (tf.constant(np.eye(labels)[member]) for member in members.T)

    def logits(self, inputs: Any, options: Any) -> Any:
        """Log probabilities up to a constant, float64 `[batch, labels]`.

        One sigmoid a label, 1 / (1 + exp(a f + b)) of its score f (Platt 1999, eq. 1), brought to the sum 1 (Zadrozny &
        Elkan 2002, section 5), as `sklearn.calibration.CalibratedClassifierCV` does.
        """
        import tensorflow as tf

        margins = self._margins(self._projection(self._flat(inputs, "float64")))
        if len(self.labels) == 2:
            log_odds = -(self._slope * -margins + self._offset)
            return tf.concat([tf.zeros_like(log_odds), log_odds], axis=1)
        return tf.math.log_sigmoid(-(self._slope * self._scores_of(margins) + self._offset))

    def _margins(self, rows: Any) -> Any:
        """Decision values of all pairs of labels, positive for the first, float64 `[batch, pairs]`.

        Chang & Lin 2011 (LIBSVM), eq. 2: sum over support vectors of y alpha K(x_i, x), plus b.
        """
        import tensorflow as tf

        if not self._linear:
            rows = tf.exp(-self.config["gamma"] * squared_distances(rows, self._vectors))
        return tf.matmul(rows, self._weights) + self._bias

    def _scores_of(self, margins: Any) -> Any:
        """Score of each label: its votes, and its margins to break ties, float64 `[batch, labels]`.

        As `_ovr_decision_function` in `sklearn/utils/multiclass.py`: x / (3 (|x| + 1)) lies in (-1/3, 1/3), and so
        outweighs no vote.
        """
        import tensorflow as tf

        first_wins = tf.cast(margins >= 0, tf.float64)
        votes = tf.matmul(first_wins, self._first) + tf.matmul(1 - first_wins, self._second)
        confidence = tf.matmul(margins, self._first - self._second)
        return votes + confidence / (3 * (tf.abs(confidence) + 1))

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the machines; the settings are the fields of `SvmRecipe`.

        Raises:
            SettingsError: There is no such kernel.
            DataError: A label has too few rows.
        """
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.frozen import FrozenEstimator
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        recipe = run.recipe(SvmRecipe)
        if recipe.kernel not in KERNELS:
            raise SettingsError(f"`kernel` is one of {', '.join(KERNELS)}; got {recipe.kernel!r}.")
        rows, labels = training_table(run)
        run.progress(0, 4, {})
        projection, rounded = Projection.fitted(rows, recipe.components, standardise=recipe.standardise)
        run.progress(1, 4, {})
        try:
            machine_rows, other_rows, machine_labels, other_labels = train_test_split(
                rounded, labels, test_size=recipe.calibration_share, stratify=labels, random_state=run.seed
            )
        except ValueError as refusal:
            raise DataError(f"{run.data.name} cannot be parted for the calibration: {refusal}") from refusal
        if len(np.unique(other_labels)) < len(run.data.labels):
            raise DataError(f"{run.data.name} has labels with too few rows to calibrate their probabilities on.")
        machines = SVC(C=_penalty(recipe, rounded), kernel=recipe.kernel, cache_size=1000)
        machines.fit(machine_rows.astype(np.float64), machine_labels)
        run.progress(2, 4, {"support_vectors": float(machines.n_support_.sum())})
        # The machines are frozen, so that there is nothing to cross-validate.
        everything = np.arange(len(other_labels))
        calibrated = CalibratedClassifierCV(FrozenEstimator(machines), cv=[(everything, everything)])
        calibrated.fit(other_rows.astype(np.float64), other_labels)
        run.progress(3, 4, {})
        (pair,) = calibrated.calibrated_classifiers_
        calibration = {
            SLOPE: np.array([sigmoid.a_ for sigmoid in pair.calibrators]),
            OFFSET: np.array([sigmoid.b_ for sigmoid in pair.calibrators]),
        }
        config = {"kernel": recipe.kernel} | ({} if recipe.kernel == "linear" else {"gamma": float(machines._gamma)})
        arrays = {**projection.arrays(), **_machine_arrays(machines), **calibration}
        held_out = projection(table(run.data.test_inputs))
        complete = cls._publish(run, arrays, calibrated.predict_proba(held_out), **config)
        run.progress(4, 4, {})
        return complete


def _scores(labels: int) -> int:
    """How many scores are calibrated: one a label; of two labels, that of the second alone."""
    return labels if labels > 2 else 1


def _penalty(recipe: SvmRecipe, rounded: NDArray[np.int8]) -> float:
    """`C` for rows in steps of the grid: a linear kernel, unlike the other, knows no scale of its own."""
    if recipe.kernel == "rbf":
        return recipe.penalty
    return recipe.penalty / float(rounded.astype(np.float64).var() * rounded.shape[1])


def _machine_arrays(machines: Any) -> Arrays:
    """What a version stores of the machines, with decision values that are positive for the first label of a pair."""
    # For two labels, and no more, scikit-learn turns the sign around.
    sign = -1.0 if len(machines.classes_) == 2 else 1.0
    bias = {BIAS: sign * machines.intercept_}
    if machines.kernel == "linear":
        return bias | {WEIGHTS: sign * machines.coef_.T}
    return bias | {
        VECTORS: machines.support_vectors_.astype(np.int8),
        SUPPORTS: machines.n_support_,
        DUAL: sign * machines.dual_coef_,
    }


def _pair_coefficients(dual: NDArray[np.float64], supports: NDArray[np.int32]) -> NDArray[np.float64]:
    """Weight of each support vector in the decision value of each pair.

    Args:
        dual: y alpha as libsvm keeps them, `[labels - 1, vectors]`: a vector of label i has in row j the coefficient
            against label j, or against label j + 1 where j is not below i.
        supports: How many of the vectors, which are sorted by label, each label has.

    Returns:
        `[vectors, pairs]`, zero where a pair does not have the vector's label.
    """
    ends = np.cumsum(supports)
    spans = [slice(end - count, end) for end, count in zip(ends, supports, strict=True)]
    pairs = list(combinations(range(len(supports)), 2))
    coefficients = np.zeros((dual.shape[1], len(pairs)))
    for pair, (first, second) in enumerate(pairs):
        coefficients[spans[first], pair] = dual[second - 1, spans[first]]
        coefficients[spans[second], pair] = dual[first, spans[second]]
    return coefficients
