"""genservice: serves generative and discriminative models as plugins; its unit of work is the sample.

What a model author needs is exported here, lazily (PEP 562): importing `genservice` loads neither TensorFlow nor gRPC
nor pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genservice.model.base import (
        Classifier,
        Comparer,
        Determinism,
        Embedder,
        Generator,
        IterativeGenerator,
        LabellingScorer,
        Latent,
        Model,
        Predictor,
        Retriever,
        ScoreKind,
        Scorer,
        Sequences,
        Signature,
        Tagger,
        TextGenerator,
    )
    from genservice.model.fit import DataSet, FitRun
    from genservice.model.hookspecs import hookimpl
    from genservice.model.noise import Noise
    from genservice.model.options import ANY_LABEL, Label, Options, Static
    from genservice.model.specs import TensorSpec
    from genservice.model.weights import load_weights, save_weights

__all__ = [
    "ANY_LABEL",
    "Classifier",
    "Comparer",
    "DataSet",
    "Determinism",
    "Embedder",
    "FitRun",
    "Generator",
    "IterativeGenerator",
    "Label",
    "LabellingScorer",
    "Latent",
    "Model",
    "Noise",
    "Options",
    "Predictor",
    "Retriever",
    "ScoreKind",
    "Scorer",
    "Sequences",
    "Signature",
    "Static",
    "Tagger",
    "TensorSpec",
    "TextGenerator",
    "hookimpl",
    "load_weights",
    "save_weights",
]

_HOMES = {
    "ANY_LABEL": "options",
    "DataSet": "fit",
    "FitRun": "fit",
    "Label": "options",
    "Noise": "noise",
    "Options": "options",
    "Static": "options",
    "TensorSpec": "specs",
    "hookimpl": "hookspecs",
    "load_weights": "weights",
    "save_weights": "weights",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"genservice.model.{_HOMES.get(name, 'base')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
