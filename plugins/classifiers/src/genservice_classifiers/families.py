"""The families `cnn` and `mlp`: neural networks for p(label | image)."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genservice import Classifier, Embedder, FitRun, TensorSpec, load_weights, save_weights
from genservice.errors import DataError

WEIGHTS = "weights.safetensors"

_POOLINGS = 2
_IMAGE_DIMENSIONS = 3


class ImageNetwork(Classifier, Embedder):
    """What the families share: images in, a Keras network with its weights in one file.

    Args:
        config: `labels`, names of the classes; `image_shape`, height, width and channels; and what `_build` reads.
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
    def _build(self, dtype: str = "float32") -> Any:
        """Makes the `keras.Model` of the config, without weights, in a dtype policy of Keras."""

    def logits(self, inputs: Any, options: Any) -> Any:
        """Logits, float32 `[batch, labels]`."""
        return self._network(inputs, training=False)[0]

    def embed(self, inputs: Any, options: Any) -> Any:
        """The features that the logits are an affine map of, 0 or greater, float32 `[batch, dimensions]`."""
        return self._network(inputs, training=False)[1]

    @classmethod
    def _train(cls, run: FitRun, recipe: Any, **architecture: Any) -> Mapping[str, Any]:
        """Trains a network and writes its weights.

        Args:
            run: The training.
            recipe: A `Recipe`.
            architecture: What `_build` reads.

        Returns:
            The version's config.

        Raises:
            DataError: The data is no images with labels.
        """
        from genservice_classifiers.training import train

        data = run.data
        if data.train_inputs.ndim != _IMAGE_DIMENSIONS + 1 or len(data.train_labels) != len(data.train_inputs):
            raise DataError(f"{data.name} has no images with a label each, which the family {cls.family!r} trains on.")
        config = {"labels": list(data.labels), "image_shape": list(data.train_inputs.shape[1:]), **architecture}
        network = train(cls(config)._build, run, recipe)
        save_weights(network, run.directory / WEIGHTS)
        return config


class ConvolutionalNetwork(ImageNetwork):
    """A small residual network (He et al. 2016, arXiv:1512.03385); embeds as its penultimate features.

    Args:
        config: `width` and `depth` of `build_cnn` as well; 32 and 1 where they are not given.
    """

    family = "cnn"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the network; the settings are the fields of `Recipe`."""
        from genservice_classifiers.training import Recipe

        recipe = run.recipe(Recipe)
        if min(run.data.train_inputs.shape[1:3], default=0) < 2**_POOLINGS:
            raise DataError(f"{run.data.name} has no images of {2**_POOLINGS} pixels or more a side.")
        return cls._train(run, recipe, width=recipe.width, depth=recipe.depth)

    def _build(self, dtype: str = "float32") -> Any:
        from genservice_classifiers.networks import build_cnn

        width, depth = self.config.get("width", 32), self.config.get("depth", 1)
        return build_cnn(self.event.shape, len(self.labels), width=width, depth=depth, dtype=dtype)


class MultilayerPerceptron(ImageNetwork):
    """A multilayer perceptron (Bishop 2006, section 5.1); embeds as its last hidden layer.

    Args:
        config: `width`, `depth` and `dropout` of `build_mlp` as well.
    """

    family = "mlp"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the network; the settings are the fields of `MlpRecipe`."""
        from genservice_classifiers.training import MlpRecipe

        recipe = run.recipe(MlpRecipe)
        return cls._train(run, recipe, width=recipe.width, depth=recipe.depth, dropout=recipe.dropout)

    def _build(self, dtype: str = "float32") -> Any:
        from genservice_classifiers.networks import build_mlp

        config = {name: self.config[name] for name in ("width", "depth", "dropout")}
        return build_mlp(self.event.shape, len(self.labels), **config, dtype=dtype)
