"""Faces: a network that embeds them, so that they can be compared and identified."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_faces.family import FaceEmbedding

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [FaceEmbedding]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
