"""The family `nearest-neighbours`: the rows of a training set that lie nearest, and the vote of their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genservice import FitRun, Options, Retriever, Static
from genservice.errors import OutOfRange
from genservice_classifiers.conversion import Arrays, ConvertedClassifier, require_shapes, table, training_table
from genservice_classifiers.projection import COMPONENTS, MEAN, Projection, ProjectionGraph, squared_distances

ROWS, LABELS = "reference/rows", "reference/labels"

DEFAULT_K = 5


class NeighbourOptions(Options):
    """Options of a vote; a search of neighbours takes its distance from them."""

    k: int = Field(DEFAULT_K, ge=1, le=100, description="How many of the nearest rows vote.")
    distance: Annotated[Literal["euclidean", "cosine"], Static()] = Field(
        "euclidean", description="Between principal components; cosine: 1 less the cosine of their angle."
    )
    weights: Annotated[Literal["uniform", "distance"], Static()] = Field(
        "uniform", description="What a vote counts: the same each, or one over the distance."
    )


@dataclass(frozen=True)
class NeighbourRecipe:
    """Settings of the training.

    Attributes:
        components: Principal components that rows are compared by, at most; those of the training are rounded to int8.
        reference_rows: How many rows of the training are kept, at most; drawn at random where there are more.
        standardise: Whether each feature is brought to variance 1 first: for tables of different units.
    """

    components: int = 38
    reference_rows: int = 100_000
    standardise: bool = False


class NearestNeighbours(ConvertedClassifier, Retriever):
    """The k nearest neighbours (Cover & Hart 1967), searched among all rows by one product of matrices.

    Of rows equally far the one of the lowest index comes first. In float64: an order that rounding changes would
    change votes.

    Args:
        config: As `ConvertedClassifier`'s; `reference_rows`, and `step`: the length of a step of their grid.
    """

    family = "nearest-neighbours"
    Options = NeighbourOptions

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.reference_rows = int(config["reference_rows"])

    def validate(self, verb: str, options: Any, inputs: Mapping[str, Any]) -> None:
        """Refuses a vote of more rows than there are.

        Raises:
            OutOfRange: `k` is greater than the number of reference rows.
        """
        if verb == "classify" and options.k > self.reference_rows:
            raise OutOfRange(
                f"`options.k` is at most {self.reference_rows}, the rows of the reference set; got {options.k}.",
                field="options.k",
            )

    def _set_arrays(self, arrays: Arrays) -> None:
        import tensorflow as tf

        require_shapes(
            arrays,
            {
                MEAN: (self.features,),
                COMPONENTS: (self.features, None),
                ROWS: (self.reference_rows, None),
                LABELS: (self.reference_rows,),
            },
        )
        self._projection = ProjectionGraph(arrays)
        self._rows = tf.constant(arrays[ROWS], tf.float64)
        self._directions = _directions(self._rows)
        self._labels = tf.constant(arrays[LABELS].astype(np.int32))

    def logits(self, inputs: Any, options: Any) -> Any:
        """Log of each label's share of the votes, float64 `[batch, labels]`; -inf for a label that has none.

        Each row has its own `k`. A row that equals reference rows is decided by these alone where votes are weighted.
        """
        import tensorflow as tf

        most = tf.cast(tf.minimum(tf.reduce_max(options.k), self.reference_rows), tf.int32)
        places, distances = self._nearest(inputs, most, options.distance)
        votes = tf.ones_like(distances)
        if options.weights == "distance":
            equal = distances == 0
            votes = tf.where(equal, votes, tf.math.reciprocal_no_nan(distances))
            # The nearest comes first: where it is equal, what is not counts nothing.
            votes = tf.where(equal[:, :1] & ~equal, tf.zeros_like(votes), votes)
        votes = tf.where(tf.range(most)[None, :] < tf.cast(options.k, tf.int32)[:, None], votes, tf.zeros_like(votes))
        labels = tf.one_hot(tf.gather(self._labels, places), len(self.labels), dtype=tf.float64)
        return tf.math.log(tf.reduce_sum(votes[:, :, None] * labels, axis=1))

    def neighbours(self, inputs: Any, k: Any, options: Any) -> tuple[Any, Any]:
        """Finds the nearest reference rows.

        Returns:
            Places in the reference set, int64 `[batch, k]`, the nearest first; distances, float32 `[batch, k]`:
            Euclidean ones in units of the inputs (of standardised features, in their standard deviations).
        """
        import tensorflow as tf

        places, distances = self._nearest(inputs, k, options.distance)
        unit = self.config["step"] if options.distance == "euclidean" else 1.0
        return tf.cast(places, tf.int64), tf.cast(unit * distances, tf.float32)

    def _nearest(self, inputs: Any, k: Any, distance: str) -> tuple[Any, Any]:
        """Places, int32 `[batch, k]`, and distances, float64 `[batch, k]`, Euclidean ones in steps of the grid."""
        import tensorflow as tf

        rows = self._projection(self._flat(inputs, "float64"))
        if distance == "cosine":
            similarities, places = tf.math.top_k(tf.matmul(_directions(rows), self._directions, transpose_b=True), k)
            return places, tf.maximum(1 - similarities, 0)
        nearness, places = tf.math.top_k(-squared_distances(rows, self._rows), k)
        return places, tf.sqrt(-nearness)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Keeps the training rows; the settings are the fields of `NeighbourRecipe`."""
        from sklearn.neighbors import KNeighborsClassifier

        recipe = run.recipe(NeighbourRecipe)
        rows, labels = training_table(run)
        run.progress(0, 2, {})
        projection, rounded = Projection.fitted(rows, recipe.components, standardise=recipe.standardise)
        if len(rounded) > recipe.reference_rows:
            order = np.random.default_rng(run.seed).permutation(len(rounded))
            kept = np.sort(order[: recipe.reference_rows])
            rounded, labels = rounded[kept], labels[kept]
        run.progress(1, 2, {})
        k = min(DEFAULT_K, len(rounded))
        estimator = KNeighborsClassifier(k, algorithm="brute").fit(rounded.astype(np.float64), labels)
        held_out = projection(table(run.data.test_inputs))
        arrays = {
            **projection.arrays(),
            ROWS: rounded,
            LABELS: labels.astype(np.uint8 if len(run.data.labels) <= 256 else np.uint16),
        }
        config = cls._publish(
            run,
            arrays,
            _all_labels(estimator.predict_proba(held_out), estimator.classes_, len(run.data.labels)),
            options={"k": k, "distance": "euclidean", "weights": "uniform"},
            compared=~_tied(estimator, held_out, k),
            reference_rows=len(rounded),
            step=projection.step,
        )
        run.progress(2, 2, {})
        return config


def _directions(rows: Any) -> Any:
    """Rows brought to the length 1; a row of zeros stays."""
    import tensorflow as tf

    return tf.math.divide_no_nan(rows, tf.norm(rows, axis=1, keepdims=True))


def _all_labels(probabilities: NDArray[np.float64], known: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """The probabilities with a column for each label: of one that no row was kept of, zeros."""
    complete = np.zeros((len(probabilities), labels))
    complete[:, known] = probabilities
    return complete


def _tied(estimator: Any, rows: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """Which rows have their last neighbour as far as the next one: there scikit-learn takes either."""
    if k == estimator.n_samples_fit_:
        return np.zeros(len(rows), np.bool_)
    distances = estimator.kneighbors(rows, k + 1, return_distance=True)[0]
    return np.isclose(distances[:, -2], distances[:, -1], rtol=1e-9, atol=0)
