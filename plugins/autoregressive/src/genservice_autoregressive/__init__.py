"""Autoregressive Transformers of characters."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_autoregressive.family import Transformer

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [Transformer]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
