"""What the demo does, as a client: through the SDK and a socket."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from genservice.cli.connection import connected
from genservice.cli.demo_calls import ModelCall, call_once
from genservice.cli.failures import Failure
from genservice_client import Client, ModelState, VersionInfo

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
            "models": [call.row() for call in self.calls],
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
        drawn, samples, sampling_s = _draw(client, generator, judge, samples_per_label, seed)
        calls = [call_once(client, version, {generator: samples}) for version in versions]
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


def _draw(
    client: Client, generator: str, judge: str, samples_per_label: int, seed: int
) -> tuple[list[Drawn], NDArray[Any], float]:
    labels = settled_version(client, generator).labels
    started = perf_counter()
    streams = [
        client.sample(generator, samples_per_label, seed=seed, first_index=place * samples_per_label, label=label)
        for place, label in enumerate(labels)
    ]
    samples = [stream.all() for stream in streams]
    sampling_s = perf_counter() - started
    rows = np.concatenate([part.to_numpy() for part in samples])
    answer = client.classify(judge, rows)
    pictures = [picture for part in samples for picture in part.images()]
    asked = [label for label in labels for _ in range(samples_per_label)]
    drawn = [
        Drawn(label, named, float(row[answer.labels.index(label)]), picture)
        for label, named, row, picture in zip(asked, answer.predicted, answer.probabilities, pictures, strict=True)
    ]
    return drawn, rows, sampling_s
