"""Classifiers that scikit-learn trains and TensorFlow serves, and the check that both give the same answers."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import Classifier, FitRun, TensorSpec
from genservice.errors import DataError, IntegrityError, PluginError

WEIGHTS = "weights.safetensors"

TOLERANCE = 1e-5
"""Greatest difference of a probability from scikit-learn's."""

TIE = 1e-6
"""Labels whose probabilities differ by less are tied: rounding may prefer either."""

_CHECKED_ROWS = 256

Arrays = Mapping[str, NDArray[Any]]


class ConvertedClassifier(Classifier):
    """What the families share: one row in, of an image or a table; arrays that scikit-learn's estimator was made of.

    Args:
        config: `labels`, names of the classes, and `event_shape`: height, width and channels of an image, whose values
            lie in [-1, 1], or the number of features of a table.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.labels = tuple(config["labels"])
        shape = tuple(config["event_shape"])
        if is_image(shape):
            self.event = TensorSpec(shape, minimum=-1, maximum=1, description="An image.")
        else:
            self.event = TensorSpec(shape, description="Features, in the units of the training data.")

    @property
    def features(self) -> int:
        """Numbers in one row."""
        return int(np.prod(self.event.shape))

    def load(self, directory: Path) -> None:
        """Reads the arrays and makes constants of them."""
        from safetensors.numpy import load_file

        self._set_arrays(load_file(directory / WEIGHTS))

    @abstractmethod
    def _set_arrays(self, arrays: Arrays) -> None:
        """Takes the arrays of the version.

        Raises:
            IntegrityError: They are not those of this model.
        """

    def _flat(self, inputs: Any, dtype: str = "float32") -> Any:
        """The rows as `[batch, features]`."""
        import tensorflow as tf

        return tf.cast(tf.reshape(inputs, [-1, self.features]), dtype)

    @classmethod
    def _publish(
        cls,
        run: FitRun,
        arrays: Arrays,
        wanted: NDArray[np.float64],
        *,
        options: Mapping[str, Any] | None = None,
        compared: NDArray[np.bool_] | None = None,
        **config: Any,
    ) -> Mapping[str, Any]:
        """Writes the arrays, and checks on the rows held out that the graph answers as scikit-learn does.

        Args:
            run: The training.
            arrays: By name.
            wanted: scikit-learn's probabilities of the rows held out, `[rows, labels]`.
            options: Those that they were made for.
            compared: Which of these rows are compared; None: all.
            config: What the config has beside the labels and the shape.

        Returns:
            The version's config.

        Raises:
            PluginError: The answers differ.
        """
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, run.directory / WEIGHTS)
        shape = list(run.data.train_inputs.shape[1:])
        complete = {"labels": list(run.data.labels), "event_shape": shape, **config}
        model = cls(complete)
        model.load(run.directory)
        rows = np.ones(len(wanted), np.bool_) if compared is None else compared
        check_conversion(probabilities(model, run.data.test_inputs[rows], options or {}), wanted[rows])
        return complete


def is_image(shape: Sequence[int]) -> bool:
    """Whether rows of a shape are images: height, width and channels."""
    return len(shape) == 3


def table(inputs: NDArray[Any]) -> NDArray[Any]:
    """Rows of any shape as `[rows, features]`."""
    return inputs.reshape(len(inputs), -1)


def training_table(run: FitRun) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What scikit-learn is given to train on.

    Returns:
        float32 `[rows, features]`; labels, int64 `[rows]`.

    Raises:
        DataError: The data has a label without rows, or no labels.
    """
    data = run.data
    present = set(np.unique(data.train_labels).tolist())
    if missing := [name for label, name in enumerate(data.labels) if label not in present]:
        raise DataError(f"{data.name} has no rows of {', '.join(missing)} to train on.")
    if len(data.labels) < 2:
        raise DataError(f"{data.name} has {len(data.labels)} labels; a classifier needs two at least.")
    return table(data.train_inputs).astype(np.float32, copy=False), data.train_labels


def require_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Checks that the arrays of a version are those of the model.

    Args:
        arrays: By name.
        shapes: Of each array that is needed; None where an extent is free.

    Raises:
        IntegrityError: One is missing or not known, or a shape differs.
    """
    missing, unknown = sorted(shapes.keys() - arrays.keys()), sorted(arrays.keys() - shapes.keys())
    if missing or unknown:
        raise IntegrityError(f"{WEIGHTS} does not fit the model: missing {missing}, not known {unknown}.")
    for name, shape in shapes.items():
        given = arrays[name].shape
        fits = len(given) == len(shape) and all(
            wanted in (None, extent) for wanted, extent in zip(shape, given, strict=True)
        )
        if not fits:
            raise IntegrityError(f"{WEIGHTS}: {name} has the shape {given}, not {shape}.")


def probabilities(model: Classifier, inputs: NDArray[Any], options: Mapping[str, Any]) -> NDArray[Any]:
    """What the graph of a loaded model gives, traced for any number of rows as the engine traces it.

    Args:
        model: The model.
        inputs: `[rows, *event.shape]`.
        options: Strings are static; a number stands for all rows.

    Returns:
        `[rows, labels]`.
    """
    import tensorflow as tf

    numbers = {name: value for name, value in options.items() if not isinstance(value, str)}
    statics = {name: value for name, value in options.items() if isinstance(value, str)}

    def classify(rows: Any) -> Any:
        columns = {name: tf.fill([tf.shape(rows)[0]], tf.constant(value)) for name, value in numbers.items()}
        return tf.nn.softmax(model.logits(rows, SimpleNamespace(**columns, **statics)))

    signature = [tf.TensorSpec([None, *model.event.shape], model.event.dtype)]
    traced = tf.function(classify, input_signature=signature, autograph=False)
    starts = range(0, len(inputs), _CHECKED_ROWS)
    return np.concatenate([traced(tf.constant(inputs[start : start + _CHECKED_ROWS])).numpy() for start in starts])


def check_conversion(served: NDArray[Any], wanted: NDArray[np.float64]) -> None:
    """Checks that the graph gives the labels and the probabilities of the estimator that it was made of.

    Args:
        served: Probabilities that the graph gives, `[rows, labels]`.
        wanted: Those of scikit-learn.

    Raises:
        PluginError: A probability differs by more than `TOLERANCE`, or a label differs that is not tied with
            scikit-learn's.
    """
    apart = float(np.max(np.abs(served - wanted), initial=0))
    if not apart <= TOLERANCE:
        raise PluginError(
            f"The graph's probabilities differ from scikit-learn's by {apart:.3g}; {TOLERANCE:g} at most."
        )
    chosen = np.take_along_axis(wanted, served.argmax(axis=1)[:, None], axis=1)[:, 0]
    others = int((wanted.max(axis=1) - chosen > TIE).sum())
    if others:
        raise PluginError(f"The graph gives {others} of {len(wanted)} rows another label than scikit-learn.")
