"""Labels of sequences: linear-chain conditional random fields."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_sequence.family import ConditionalRandomField

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The family of this plugin."""
    return [ConditionalRandomField]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
