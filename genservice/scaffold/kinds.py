"""The kinds of plugin that can be begun."""

from collections.abc import Mapping
from dataclasses import dataclass

KERAS, PYDANTIC, SAFETENSORS = "keras>=3.12,<4", "pydantic>=2.10,<3", "safetensors>=0.5"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plugin, whose templates are in the folder of its name.

    Args:
        class_name: The class of its family.
        title: What its model is.
        summary: What the trained model is, for its card.
        limits: What the trained model cannot do, for its card.
        needs: What it imports besides genservice and NumPy, as requirements.
    """

    class_name: str
    title: str
    summary: str
    limits: str
    needs: tuple[str, ...] = (SAFETENSORS,)


KINDS: Mapping[str, Kind] = {
    "generator": Kind(
        "Autoencoder",
        "A variational autoencoder that draws pictures",
        "Draws discs of any size and place; the decoder of a variational autoencoder.",
        "Knows discs, 12x12 and grey, and nothing else.",
        needs=(KERAS, PYDANTIC, SAFETENSORS),
    ),
    "iterative": Kind(
        "Diffusion",
        "A diffusion model that draws rows of numbers",
        "Draws points of two half circles, in as many steps as you say.",
        "Knows two half circles on a plane, and nothing else.",
        needs=(KERAS, PYDANTIC, SAFETENSORS),
    ),
    "classifier": Kind(
        "SoftmaxRegression",
        "Softmax regression",
        "Tells which of three centres a point belongs to.",
        "Draws straight lines between the classes; takes any point for one of them.",
        needs=(PYDANTIC, SAFETENSORS),
    ),
    "scorer": Kind(
        "NormalDensity",
        "A normal distribution that scores rows of numbers",
        "The density of rows of three numbers.",
        "Knows one peak, and tails that are normal.",
    ),
    "tagger": Kind(
        "HiddenMarkovModel",
        "A hidden Markov model that labels sequences",
        "Tells at which rolls a casino has used its loaded die.",
        "Knows two dice, and games of at most 64 rolls.",
    ),
}
