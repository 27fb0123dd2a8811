"""What can be asked of a model: the one place where verbs, capabilities and tensors meet."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from genservice.errors import InvalidRequest, PluginError, suggestion
from genservice.model.base import (
    Classifier,
    Comparer,
    Embedder,
    Generator,
    IterativeGenerator,
    LabellingScorer,
    Latent,
    Model,
    Predictor,
    Retriever,
    Scorer,
    Tagger,
    TextGenerator,
)
from genservice.model.media import is_image
from genservice.model.specs import TensorSpec

MOST_NEIGHBOURS = 1000
"""Most neighbours of a row that a request may ask for."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A thing that models do.

    Args:
        capability: The classes one of which a model derives from to have it.
        outputs: Names of the results; empty where each function of the model has its own.
        shared: Inputs that all rows of a batch have in common.
        through: The verb that the server asks of the model to do this one; empty: this one.
        declares: What a model has to say of itself.
        prefix: What stands before the name of an input in the path of a request's field.
    """

    capability: tuple[type[Model], ...]
    outputs: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    through: str = ""
    declares: tuple[str, ...] = ("event",)
    prefix: str = ""


VERBS: Mapping[str, Verb] = {
    "sample": Verb((Generator,), ("samples",), prefix="conditions."),
    "score": Verb((Scorer, LabellingScorer), ("log_prob",)),
    "encode": Verb((Latent,), ("latents",)),
    "decode": Verb((Latent,), ("samples",), declares=("event", "latent")),
    "classify": Verb((Classifier,), ("probabilities",), declares=("event", "labels")),
    "embed": Verb((Embedder,), ("embeddings",)),
    "compare": Verb((Comparer,), through="embed", declares=("event", "threshold")),
    "identify": Verb((Comparer,), through="embed", declares=("event", "threshold")),
    "neighbours": Verb((Retriever,), ("indexes", "distances"), shared=("k",), declares=("event", "reference_rows")),
    "tag": Verb((Tagger,), ("labels", "marginals"), declares=("event", "labels", "positions")),
    "predict": Verb((Predictor,), declares=("signatures", "default_signature"), prefix="inputs."),
}

PREVIEW = "preview"
TEXT_DELTAS = "text_deltas"
IMAGES = "images"


def features_of(model: Model) -> tuple[str, ...]:
    """What else a model can do."""
    event = event_of(model)
    takes_events = set(verbs_of(model)) - {"sample", "decode", "predict"}
    features = [IMAGES] if event is not None and is_image(event) and takes_events else []
    if isinstance(model, TextGenerator):
        features.append(TEXT_DELTAS)
    elif isinstance(model, IterativeGenerator):
        features.append(PREVIEW)
    return tuple(features)


def verbs_of(model: Model) -> tuple[str, ...]:
    """The verbs that a model has, in the order of `VERBS`."""
    return _verbs_of(type(model))


@lru_cache(maxsize=1024)
def _verbs_of(kind: type[Model]) -> tuple[str, ...]:
    return tuple(name for name, verb in VERBS.items() if issubclass(kind, verb.capability))


def event_of(model: Model) -> TensorSpec | None:
    """The event of a model; None where it has none, because it does nothing but `predict`."""
    return getattr(model, "event", None)


def check_declared(model: Model) -> None:
    """Checks that a model says of itself what those need who ask it.

    Raises:
        PluginError: Something is missing or does not fit the rest; the message names it.
    """
    for verb in verbs_of(model):
        for name in VERBS[verb].declares:
            declared = getattr(model, name, None)
            if declared is None or declared == ():
                raise PluginError(f"The family {model.family!r} can {verb}, and declares no `{name}`.")
    for name in ("reference_rows", "positions"):
        if getattr(model, name, 1) < 1:
            raise PluginError(f"`{name}` of the family {model.family!r} is 1 or greater.")
    if isinstance(model, Predictor):
        _check_signatures(model)


def _check_signatures(model: Predictor) -> None:
    if model.default_signature not in model.signatures:
        known = ", ".join(model.signatures)
        raise PluginError(f"The default signature, {model.default_signature!r}, is none of these: {known}.")
    for name, signature in model.signatures.items():
        if not signature.inputs or not signature.outputs:
            raise PluginError(f"The signature {name!r} has no inputs or no outputs; each of them has rows.")
        if texts := [output for output, spec in signature.outputs.items() if spec.dtype == "string"]:
            raise PluginError(f"The signature {name!r} gives strings, as {', '.join(texts)}: outputs are numbers.")


def check_function(model: Model, function: str) -> None:
    """Checks that a worker can run a function of a model that has its verb.

    Raises:
        InvalidRequest: It has no such signature.
        ValueError: It is a verb that goes through another, or a draw.
    """
    if function == "sample" or function in functions_of(model):
        return
    if not isinstance(model, Predictor) or verb_of(function) != "predict":
        raise ValueError(f"{function!r} is no function that a worker runs.")
    name = function.partition(":")[2]
    raise InvalidRequest(f"The model has no signature {name!r}.{suggestion(name, model.signatures)}", field="signature")


def functions_of(model: Model) -> tuple[str, ...]:
    """What a worker runs of a model: its verbs, but for those that go through others; `predict:NAME` a signature."""
    functions: list[str] = []
    for verb in verbs_of(model):
        if verb == "predict":
            assert isinstance(model, Predictor)
            functions += [prediction(name) for name in model.signatures]
        elif not VERBS[verb].through:
            functions.append(verb)
    return tuple(functions)


def prediction(signature: str) -> str:
    """The function of a signature."""
    return f"predict:{signature}"


def verb_of(function: str) -> str:
    """The verb that a function belongs to."""
    return function.partition(":")[0]


def shared_values(function: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The inputs of a call that all rows of a batch have in common."""
    return tuple(inputs[name][0].item() for name in VERBS[verb_of(function)].shared)


def input_specs(model: Model, function: str) -> Mapping[str, TensorSpec]:
    """The inputs of a function, by name."""
    verb, _, signature = function.partition(":")
    if verb == "sample":
        return model.conditions
    if verb == "decode":
        assert isinstance(model, Latent)
        return {"inputs": model.latent}
    if verb == "predict":
        assert isinstance(model, Predictor)
        return model.signatures[signature].inputs
    if isinstance(model, Tagger) and verb in ("tag", "score"):
        return _sequence_specs(model, labelled=verb == "score")
    if verb == "neighbours":
        assert isinstance(model, Retriever)
        return {"inputs": model.event, "k": TensorSpec((), "int32", 1, most_neighbours(model))}
    return {"inputs": model.event}


def most_neighbours(model: Retriever) -> int:
    """Most neighbours of a row that can be asked for."""
    return min(model.reference_rows, MOST_NEIGHBOURS)


def model_specs(model: Model, function: str) -> Mapping[str, TensorSpec]:
    """The inputs of a function as the model gets them: where it knows tokens, these in place of strings."""
    tokens = model.tokens
    return {
        name: tokens if tokens is not None and spec.dtype == "string" else spec
        for name, spec in input_specs(model, function).items()
    }


def _sequence_specs(model: Tagger, *, labelled: bool) -> Mapping[str, TensorSpec]:
    position = model.event if model.tokens is None else model.tokens
    values = TensorSpec(
        (model.positions, *position.shape), position.dtype, position.minimum, position.maximum, finite=position.finite
    )
    specs = {"inputs": values, "lengths": TensorSpec((), "int32", 1, model.positions)}
    if labelled:
        specs["labels"] = TensorSpec((model.positions,), "int32", 0, len(model.labels) - 1)
    return specs
