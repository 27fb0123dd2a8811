"""What the demo does, as a client: through the SDK and a socket."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from PIL.Image import Image

from genservice.cli.connection import connected
from genservice.cli.failures import Failure
from genservice_client import Client, GenserviceClientError, ModelState, TensorSpec, VersionInfo

TEXT_SEED = 1
BEFORE_SETTLED = (ModelState.UNSPECIFIED, ModelState.LOADING, ModelState.WARMING)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A sample.

    Args:
        asked: Label that was asked for.
        named: Label that the judge gives it.
        probability: Probability that the judge gives the label that was asked for.
        picture: The sample.
    """

    asked: str
    named: str
    probability: float
    picture: Image


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model.

    Args:
        name: Name of the model.
        family: Its family.
        kind: `generator`, `classifier`, or the first verb that it has.
        ok: Whether it answered.
        seconds: How long that took.
        text: What it answered, where that is a text.
    """

    name: str
    family: str
    kind: str
    ok: bool
    seconds: float
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came out.

    Args:
        generator: Name of the model that was drawn from.
        judge: Name of the model that named the samples.
        drawn: The samples, sorted by label.
        sampling_s: Seconds that the drawing took.
        seconds: Seconds from the first call to the last.
        calls: A call of each model that is served.
    """

    generator: str
    judge: str
    drawn: list[Drawn]
    sampling_s: float
    seconds: float
    calls: list[ModelCall]

    @property
    def agreement(self) -> float:
        """Part of the samples that the judge names as asked."""
        return sum(sample.named == sample.asked for sample in self.drawn) / len(self.drawn)

    @property
    def samples_per_second(self) -> float:
        """Speed of the drawing."""
        return len(self.drawn) / self.sampling_s

    def by_label(self) -> Mapping[str, list[Drawn]]:
        """The samples of each label."""
        labels = dict.fromkeys(sample.asked for sample in self.drawn)
        return {label: [sample for sample in self.drawn if sample.asked == label] for label in labels}

    def report(self) -> dict[str, Any]:
        """The figures, as JSON can hold them."""
        return {
            "samples": len(self.drawn),
            "agreement": self.agreement,
            "samples_per_second": self.samples_per_second,
            "seconds": self.seconds,
            "models": [asdict(call) for call in self.calls],
        }


def run(address: str, generator: str, judge: str, samples_per_label: int, seed: int) -> Outcome:
    """Draws samples of each label, has them named, and calls every model that is served.

    Args:
        address: Of a server, whose models may still be loading.
        generator: Model with labels.
        judge: Classifier of its samples.
        samples_per_label: Samples of each label.
        seed: Seed of the samples.

    Raises:
        Failure: A call failed, or a model could not be loaded.
    """
    with connected(address) as client:
        versions = [settled_version(client, model.name) for model in client.models()]
        started = perf_counter()
        drawn, sampling_s = _draw(client, generator, judge, samples_per_label, seed)
        calls = [call_once(client, version) for version in versions]
        return Outcome(generator, judge, drawn, sampling_s, perf_counter() - started, calls)


def settled_version(client: Client, name: str) -> VersionInfo:
    """Waits until a model can be called, or never will be.

    Args:
        client: Connected to its server.
        name: Name of the model.

    Returns:
        The version that answers, or the newest that failed.
    """
    for model in client.watch_model(name):
        if model.default_version:
            return model.version(model.default_version)
        if all(version.state not in BEFORE_SETTLED for version in model.versions):
            return model.versions[0]
    raise Failure(f"The server ended before {name} was loaded.")


def call_once(client: Client, version: VersionInfo) -> ModelCall:
    """Calls the first verb that a version has, with inputs in the middle of their range."""
    kind = {"sample": "generator", "classify": "classifier"}.get(version.verbs[0] if version.verbs else "", "")
    started = perf_counter()
    text = ""
    try:
        if version.event.dtype is None and "sample" in version.verbs:
            (text,) = client.sample(version.name, 1, seed=TEXT_SEED).all().texts()
            ok = bool(text)
        else:
            ok = _answers(client, version)
    except GenserviceClientError:
        ok = False
    name = version.name.removeprefix("models/").partition("/")[0]
    return ModelCall(name, version.family, kind or ", ".join(version.verbs[:1]), ok, perf_counter() - started, text)


def _answers(client: Client, version: VersionInfo) -> bool:
    match version.verbs:
        case ["sample", *_]:
            conditions = {name: _example(spec) for name, spec in version.conditions.items() if not spec.optional}
            return len(client.sample(version.name, 1, conditions=conditions).all()) == 1
        case ["classify", *_]:
            return len(client.classify(version.name, _example(version.event))) == 1
        case ["score", *_]:
            return client.score(version.name, _example(version.event)).log_prob.shape == (1,)
        case ["encode", *_]:
            return len(client.encode(version.name, _example(version.event))) == 1
        case ["embed", *_]:
            return len(client.embed(version.name, _example(version.event))) == 1
        case _:
            return False


def _example(spec: TensorSpec) -> Any:
    if spec.dtype is None:
        return [""]
    middle = 0.0 if spec.minimum is None or spec.maximum is None else (spec.minimum + spec.maximum) / 2
    return np.full((1, *(max(extent, 1) for extent in spec.shape)), middle, spec.dtype)


def _draw(client: Client, generator: str, judge: str, samples_per_label: int, seed: int) -> tuple[list[Drawn], float]:
    labels = settled_version(client, generator).labels
    started = perf_counter()
    streams = [
        client.sample(generator, samples_per_label, seed=seed, first_index=place * samples_per_label, label=label)
        for place, label in enumerate(labels)
    ]
    samples = [stream.all() for stream in streams]
    sampling_s = perf_counter() - started
    answer = client.classify(judge, np.concatenate([part.to_numpy() for part in samples]))
    pictures = [picture for part in samples for picture in part.images()]
    asked = [label for label in labels for _ in range(samples_per_label)]
    drawn = [
        Drawn(label, named, float(row[answer.labels.index(label)]), picture)
        for label, named, row, picture in zip(asked, answer.predicted, answer.probabilities, pictures, strict=True)
    ]
    return drawn, sampling_s
