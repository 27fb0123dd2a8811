"""What can be asked of a model: the one place where verbs, capabilities and tensors meet."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from genservice.model.base import (
    Classifier,
    Embedder,
    Generator,
    IterativeGenerator,
    Latent,
    Model,
    Scorer,
    TextGenerator,
)
from genservice.model.specs import TensorSpec


@dataclass(frozen=True, slots=True)
class Verb:
    """A thing that models do.

    Args:
        capability: The class that a model derives from to have it.
        output: Name of the result.
        takes: Name of the model's spec of `inputs`; empty for draws, which take the model's conditions.
    """

    capability: type[Model]
    output: str
    takes: str = "event"


VERBS: Mapping[str, Verb] = {
    "sample": Verb(Generator, "samples", takes=""),
    "score": Verb(Scorer, "log_prob"),
    "encode": Verb(Latent, "latents"),
    "decode": Verb(Latent, "samples", takes="latent"),
    "classify": Verb(Classifier, "probabilities"),
    "embed": Verb(Embedder, "embeddings"),
}


PREVIEW = "preview"
TEXT_DELTAS = "text_deltas"


def features_of(model: Model) -> tuple[str, ...]:
    """What else a model can do."""
    if isinstance(model, TextGenerator):
        return (TEXT_DELTAS,)
    return (PREVIEW,) if isinstance(model, IterativeGenerator) else ()


def verbs_of(model: Model) -> tuple[str, ...]:
    """The verbs that a model has, in the order of `VERBS`."""
    return _verbs_of(type(model))


@lru_cache(maxsize=1024)
def _verbs_of(kind: type[Model]) -> tuple[str, ...]:
    return tuple(name for name, verb in VERBS.items() if issubclass(kind, verb.capability))


def input_specs(model: Model, verb: str) -> Mapping[str, TensorSpec]:
    """The inputs of a verb, by name."""
    takes = VERBS[verb].takes
    return {"inputs": getattr(model, takes)} if takes else model.conditions


def model_specs(model: Model, verb: str) -> Mapping[str, TensorSpec]:
    """The inputs of a verb as the model gets them: where it knows tokens, these in place of strings."""
    tokens = model.tokens
    return {
        name: tokens if tokens is not None and spec.dtype == "string" else spec
        for name, spec in input_specs(model, verb).items()
    }
