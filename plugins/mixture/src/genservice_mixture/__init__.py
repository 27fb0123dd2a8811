"""Joint densities p(x, y): Gaussian naive Bayes and Gaussian mixtures, which sample, score and classify."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_mixture.families import GaussianMixture, NaiveBayes

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [NaiveBayes, GaussianMixture]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
