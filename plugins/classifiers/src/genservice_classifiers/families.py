"""The families `cnn` and `logistic-regression`: p(label | image)."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genservice import Classifier, Embedder, FitRun, TensorSpec, load_weights, save_weights

WEIGHTS = "weights.safetensors"


class ImageClassifier(Classifier):
    """What the families share: images in, a Keras network with its weights in one file.

    Args:
        config: `labels`, names of the classes, and `image_shape`, height, width and channels.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.labels = tuple(config["labels"])
        self.event = TensorSpec(tuple(config["image_shape"]), minimum=-1, maximum=1, description="An image.")

    def load(self, directory: Path) -> None:
        """Builds the network and reads its weights."""
        self._network = self._build()
        load_weights(self._network, directory / WEIGHTS)

    @abstractmethod
    def _build(self) -> Any:
        """Makes the `keras.Model`, without weights."""

    @staticmethod
    def _publish(network: Any, run: FitRun) -> Mapping[str, Any]:
        save_weights(network, run.directory / WEIGHTS)
        return {"labels": list(run.data.labels), "image_shape": list(run.data.train_inputs.shape[1:])}


class ConvolutionalNetwork(ImageClassifier, Embedder):
    """A small residual network (He et al. 2016, arXiv:1512.03385); embeds as its penultimate features."""

    family = "cnn"

    def logits(self, inputs: Any, options: Any) -> Any:
        """Logits, float32 `[batch, labels]`."""
        return self._network(inputs, training=False)[0]

    def embed(self, inputs: Any, options: Any) -> Any:
        """Penultimate features, 0 or greater, float32 `[batch, 128]`."""
        return self._network(inputs, training=False)[1]

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the network; the settings are the fields of `CnnRecipe`."""
        from genservice_classifiers.training import CnnRecipe, train_cnn

        recipe = run.recipe(CnnRecipe)
        data = run.data
        network = train_cnn(data.train_inputs, data.train_labels, seed=run.seed, recipe=recipe, progress=run.progress)
        return cls._publish(network, run)

    def _build(self) -> Any:
        from genservice_classifiers.networks import build_cnn

        return build_cnn(self.event.shape, len(self.labels))


class LogisticRegression(ImageClassifier):
    """Multinomial logistic regression on the pixels (Bishop 2006, section 4.3.4)."""

    family = "logistic-regression"

    def logits(self, inputs: Any, options: Any) -> Any:
        """Logits, float32 `[batch, labels]`."""
        return self._network(inputs, training=False)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the regression; the settings are the fields of `LogisticRecipe`."""
        from genservice_classifiers.training import LogisticRecipe, train_logistic_regression

        recipe = run.recipe(LogisticRecipe)
        data = run.data
        network = train_logistic_regression(
            data.train_inputs, data.train_labels, seed=run.seed, recipe=recipe, progress=run.progress
        )
        return cls._publish(network, run)

    def _build(self) -> Any:
        from genservice_classifiers.networks import build_logistic_regression

        return build_logistic_regression(self.event.shape, len(self.labels))
