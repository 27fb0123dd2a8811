"""The families `naive-bayes` and `gaussian-mixture`: the joint density p(x, y) of rows and their labels."""

from abc import abstractmethod
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from genservice import ANY_LABEL, Classifier, FitRun, Generator, Label, Noise, Options, Scorer, TensorSpec
from genservice.errors import IntegrityError
from genservice.model.media import IMAGE_FORMATS, encode_image

WEIGHTS = "weights.safetensors"
PIXEL_BOUNDS = (-1, 1)


class JointOptions(Options):
    """Options of a draw and of a score."""

    label: Label = Field(
        ANY_LABEL,
        description="Sampling: what to draw; -1: drawn by its share of the training data. Scoring: -1 for log p(x), a "
        "label for log p(x, label). Classifying: no matter.",
    )


class JointModel(Generator, Classifier, Scorer):
    """p(x, y) = p(y) p(x | y), where p(x | y) is a mixture of Gaussians (Bishop 2006, equation 9.7).

    From the one density come all verbs: its draws, its logarithm, and by Bayes' rule p(y | x).

    Args:
        config: `labels`, names of the classes; `shape`, that of a row; `components`, how many a label.
    """

    Options = JointOptions

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.labels = tuple(config["labels"])
        # Without bounds: a Gaussian has none, and draws that were cut off would not be draws of the density.
        self.event = TensorSpec(tuple(config["shape"]), description="A row, in the units of the training data.")
        self.media_types = tuple(IMAGE_FORMATS) if len(self.event.shape) == 3 else ()
        self._components = int(config["components"])

    def load(self, directory: Path) -> None:
        """Reads the parameters; all is float64, so that log p(x, y) is exact to 1e-10.

        Raises:
            IntegrityError: They are of another shape than the config says.
        """
        import numpy as np
        import tensorflow as tf
        from safetensors.numpy import load_file

        tensors = load_file(directory / WEIGHTS)
        shape = (len(self.labels), self._components)
        self._dimensions = prod(self.event.shape)
        if tensors["weights"].shape != shape or tensors["means"].shape != (*shape, self._dimensions):
            raise IntegrityError(f"{WEIGHTS} is not of {shape[0]} labels, {shape[1]} components and such rows.")
        self._log_prior = tf.constant(np.log(tensors["prior"]))
        self._log_weights = tf.constant(np.log(tensors["weights"]))
        self._prior_sums = tf.constant(np.cumsum(tensors["prior"])[None, :-1])
        self._weight_sums = tf.constant(np.cumsum(tensors["weights"], axis=1)[:, :-1])
        self._gaussians = self._build({name: tensor.reshape(-1, *tensor.shape[2:]) for name, tensor in tensors.items()})

    @abstractmethod
    def _build(self, tensors: Mapping[str, NDArray[Any]]) -> Any:
        """Makes the `Gaussians`, those of one label after those of another."""

    def log_joint(self, inputs: Any) -> Any:
        """Gives ln p(x, y) for each label y.

        Returns:
            float64 `[batch, labels]`.
        """
        import tensorflow as tf

        rows = tf.reshape(tf.cast(inputs, tf.float64), [-1, self._dimensions])
        log_densities = tf.reshape(self._gaussians.log_density(rows), [-1, len(self.labels), self._components])
        return self._log_prior + tf.reduce_logsumexp(self._log_weights + log_densities, axis=2)

    def logits(self, inputs: Any, options: Any) -> Any:
        """a_y = ln p(x | y) p(y), whose softmax is p(y | x) (Bishop 2006, equations 4.62 and 4.63).

        Returns:
            float64 `[batch, labels]`.
        """
        return self.log_joint(inputs)

    def log_prob(self, inputs: Any, options: Any) -> Any:
        """Gives ln p(x), or ln p(x, y) where the options have a label y.

        Returns:
            float64 `[batch]`, in nats.
        """
        import tensorflow as tf

        joint = self.log_joint(inputs)
        of_label = tf.gather(joint, tf.maximum(options.label, 0), axis=1, batch_dims=1)
        return tf.where(options.label == ANY_LABEL, tf.reduce_logsumexp(joint, axis=1), of_label)

    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws y, then a component of y, then x: ancestral sampling (Bishop 2006, section 8.1.2).

        Returns:
            float32 `[batch, *event.shape]`.
        """
        import tensorflow as tf

        # Inverse sums, not Gumbel-max: uniform numbers are the same bits in every batch, logarithms of them are not.
        drawn = _inverse(self._prior_sums, noise.uniform("label"))
        labels = tf.where(options.label == ANY_LABEL, drawn, options.label)
        components = _inverse(tf.gather(self._weight_sums, labels), noise.uniform("component"))
        standard = tf.cast(noise.normal("x", (self._dimensions,)), tf.float64)
        rows = self._gaussians.draw(labels * self._components + components, standard)
        return tf.reshape(tf.cast(rows, tf.float32), [-1, *self.event.shape])

    def encode_media(self, media_type: str, sample: NDArray[Any]) -> bytes:
        """Makes a picture: grey values that lie beyond black and white are shown as these."""
        low, high = PIXEL_BOUNDS
        return encode_image(media_type, sample, TensorSpec(self.event.shape, minimum=low, maximum=high))

    @staticmethod
    def _publish(run: FitRun, tensors: Mapping[str, NDArray[Any]]) -> Mapping[str, Any]:
        import numpy as np
        from safetensors.numpy import save_file

        # safetensors writes the memory of an array as it lies.
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, run.directory / WEIGHTS)
        return {
            "labels": list(run.data.labels),
            "shape": list(run.data.train_inputs.shape[1:]),
            "components": tensors["weights"].shape[1],
        }


class NaiveBayes(JointModel):
    """Gaussian naive Bayes: given the label, the elements of a row are independent (Bishop 2006, section 8.2.2)."""

    family = "naive-bayes"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains with scikit-learn's `GaussianNB`; the settings are the fields of `NaiveBayesRecipe`."""
        from genservice_mixture.training import NaiveBayesRecipe, train_naive_bayes

        return cls._publish(run, train_naive_bayes(run.data, run.recipe(NaiveBayesRecipe), run.progress))

    def _build(self, tensors: Mapping[str, NDArray[Any]]) -> Any:
        from genservice_mixture.gaussians import DiagonalGaussians

        return DiagonalGaussians(tensors["means"], tensors["variances"])


class GaussianMixture(JointModel):
    """A mixture of Gaussians with full covariances for each label (Bishop 2006, section 9.2)."""

    family = "gaussian-mixture"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains with scikit-learn's `GaussianMixture`; the settings are the fields of `MixtureRecipe`."""
        from genservice_mixture.training import MixtureRecipe, train_mixture

        return cls._publish(run, train_mixture(run.data, run.recipe(MixtureRecipe), run.seed, run.progress))

    def _build(self, tensors: Mapping[str, NDArray[Any]]) -> Any:
        from genservice_mixture.gaussians import FullGaussians

        return FullGaussians(tensors["means"], tensors["factors"])


def _inverse(sums: Any, uniform: Any) -> Any:
    """The category of each uniform number u: how many of the sums of the probabilities lie at or below u.

    Args:
        sums: float64 `[batch, categories - 1]`, or `[1, categories - 1]` for all rows.
        uniform: float32 `[batch]`.

    Returns:
        int64 `[batch]`.
    """
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(sums <= tf.cast(uniform, tf.float64)[:, None], tf.int64), axis=1)
