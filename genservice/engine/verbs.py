"""What can be asked of a model: the one place where verbs, capabilities and tensors meet."""

from collections.abc import Mapping
from dataclasses import dataclass

from genservice.model.base import Classifier, Embedder, Generator, Latent, Model, Scorer
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


def verbs_of(model: Model) -> tuple[str, ...]:
    """The verbs that a model has, in the order of `VERBS`."""
    return tuple(name for name, verb in VERBS.items() if isinstance(model, verb.capability))


def input_specs(model: Model, verb: str) -> Mapping[str, TensorSpec]:
    """The inputs of a verb, by name."""
    takes = VERBS[verb].takes
    return {"inputs": getattr(model, takes)} if takes else model.conditions
