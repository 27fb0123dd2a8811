"""The family `face-embedding`: pictures of one person lie close together, those of others far apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genservice import Comparer, FitRun, TensorSpec

WEIGHTS = "weights.safetensors"


class FaceEmbedding(Comparer):
    """Embeds faces so that distance tells who is who (FaceNet: Schroff et al. 2015, arXiv:1503.03832).

    The embedding of a picture is the mean of the network's answers to it and to its mirror image.

    Args:
        config: `image_shape`, height, width and channels; `window`, top, left and side of the square that the network
            looks at, in pixels, which may reach beyond the picture; `threshold`, as in `Comparer`.
    """

    family = "face-embedding"

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.event = TensorSpec(
            tuple(config["image_shape"]), minimum=-1, maximum=1, description="An upright picture of one face."
        )
        self.threshold = float(config["threshold"])
        self._window = tuple(config["window"])

    def load(self, directory: Path) -> None:
        """Builds the network and reads its weights."""
        from safetensors.numpy import load_file

        from genservice_faces.network import build_network
        from genservice_faces.weights import set_weights

        self._network = build_network()
        set_weights(self._network, load_file(directory / WEIGHTS))

    def embed(self, inputs: Any, options: Any) -> Any:
        """Embeddings, float32 `[batch, 128]`; their lengths are not 1."""
        from genservice_faces.network import embed_faces

        return embed_faces(self._network, inputs, self._window)

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Converts the weights, and chooses window and threshold; the settings are the fields of `Recipe`."""
        from safetensors.numpy import save_file

        from genservice_faces.training import Recipe, choose, gather_faces, read_weights

        recipe = run.recipe(Recipe)
        faces = gather_faces(run.data, recipe, seed=run.seed)
        tensors = read_weights(recipe)
        choice = choose(faces, tensors, recipe, progress=run.progress)
        save_file(tensors, run.directory / WEIGHTS)
        return {
            "image_shape": list(run.data.train_inputs.shape[1:]),
            "window": list(choice.window),
            "threshold": choice.threshold,
        }
