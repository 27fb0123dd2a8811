"""Classifiers: convolutional networks and logistic regression."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_classifiers.families import ConvolutionalNetwork, LogisticRegression

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [ConvolutionalNetwork, LogisticRegression]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
