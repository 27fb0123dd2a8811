"""Measures a model in everything that it does."""

from typing import Protocol

from genservice.errors import VerbNotSupported
from genservice.model.fit import DataSet, Progress
from genservice.training.evaluation.figures import Evaluation, Figures
from genservice.training.evaluation.generators import GeneratorMeasurement
from genservice.training.evaluation.held_out import (
    ClassifierMeasurement,
    ComparerMeasurement,
    ScorerMeasurement,
    TaggerMeasurement,
)
from genservice.training.evaluation.subject import Advance, Subject
from genservice.training.evaluation.texts import TextMeasurement, TextScorerMeasurement


class Measurement(Protocol):
    """Measures one thing that a model does; what cannot be measured is told when it is made."""

    @property
    def rows(self) -> int:
        """Rows that it tells of."""

    async def measure(self, advance: Advance) -> Figures:
        """Measures."""


async def evaluate(
    subject: Subject,
    data: DataSet,
    *,
    judge: Subject | None = None,
    samples: int | None = None,
    excerpt_characters: int | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total, figures: None,
) -> Evaluation:
    """Measures a model: its samples, labels, scores, labellings and likenesses, whichever it gives.

    Args:
        subject: The model.
        data: What it was trained on; what it says is measured on the rows that are held out.
        judge: For a generator: a classifier and embedder that had no part in its training.
        samples: Samples to draw; None: as many as rows are held out, up to a limit.
        excerpt_characters: For a model of text: characters of the excerpts that are scored; None: as many as it takes.
        seed: Seed of everything random.
        progress: Is told how far it is.

    Raises:
        GenserviceError: It cannot be measured so; the message says why.
    """
    offer = subject.offer
    measurements: list[Measurement] = []
    if "sample" in offer.verbs and offer.is_text:
        measurements.append(TextMeasurement(subject, data, samples=samples, seed=seed))
    elif "sample" in offer.verbs:
        measurements.append(GeneratorMeasurement(subject, judge, data, samples=samples, seed=seed))
    if "classify" in offer.verbs:
        measurements.append(ClassifierMeasurement(subject, data))
    if "tag" in offer.verbs:
        measurements.append(TaggerMeasurement(subject, data))
    elif "score" in offer.verbs and offer.is_text:
        measurements.append(TextScorerMeasurement(subject, data, excerpt_characters=excerpt_characters))
    elif "score" in offer.verbs:
        measurements.append(ScorerMeasurement(subject, data))
    if "compare" in offer.verbs:
        measurements.append(ComparerMeasurement(subject, data, seed=seed))
    if not measurements:
        raise VerbNotSupported(f"{offer.name} can {', '.join(offer.verbs)}: there are no figures of that.")
    advance = _counter(progress, sum(measurement.rows for measurement in measurements))
    parts = [await measurement.measure(advance) for measurement in measurements]
    return Evaluation(offer.name, data.name, seed, parts, offer.card)


def _counter(progress: Progress, total: int) -> Advance:
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total, {})

    return advance
