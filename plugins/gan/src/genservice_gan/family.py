"""The family `gan`: samples of p(x | label), or of p(x) where the label is drawn too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from genservice import ANY_LABEL, FitRun, Generator, Label, Noise, Options, TensorSpec, load_weights, save_weights

WEIGHTS = "weights.safetensors"


class GanOptions(Options):
    """Options of a draw."""

    label: Label = Field(ANY_LABEL, description="What to draw, by number or by name; -1: drawn evenly for each sample.")
    truncation_psi: float = Field(
        1.0,
        ge=0,
        le=1,
        description="1: the whole distribution; towards 0: nearer to the mean of the label, less varied.",
    )


class ClassConditionalGan(Generator):
    """A style-based generator (Karras et al. 2020, arXiv:1912.04958) with a label.

    Args:
        config: `labels`, names of the classes, and `image_shape`, height, width and channels.
    """

    family = "gan"
    Options = GanOptions
    media_types = ("image/png", "image/webp")

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.labels = tuple(config["labels"])
        self.event = TensorSpec(tuple(config["image_shape"]), minimum=-1, maximum=1, description="An image.")

    def load(self, directory: Path) -> None:
        """Builds the generator and reads its weights."""
        from genservice_gan.generator import Generator as Network

        self._generator = Network(image_shape=self.event.shape, num_classes=len(self.labels))
        load_weights(self._generator, directory / WEIGHTS)

    def sample(self, noise: Noise, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Draws x = g(f(z, label)) with z standard normal, and the label evenly where it is not given."""
        from keras import ops

        drawn = ops.cast(ops.floor(noise.uniform("label") * len(self.labels)), "int32")
        asked = ops.cast(options.label, "int32")
        labels = ops.where(asked == ANY_LABEL, drawn, asked)
        latents = noise.normal("latent", (self._generator.latent_dim,))
        return self._generator(latents, labels, truncation_psi=options.truncation_psi[:, None])

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Trains the generator; the settings are the fields of `Recipe`."""
        from genservice_gan.training import Recipe, train

        generator = train(
            run.data.train_inputs,
            run.data.train_labels,
            seed=run.seed,
            recipe=run.recipe(Recipe),
            checkpoint_dir=run.checkpoints,
            progress=run.progress,
        )
        save_weights(generator, run.directory / WEIGHTS)
        return {"labels": list(run.data.labels), "image_shape": list(run.data.train_inputs.shape[1:])}
