"""Measures served models against real data."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.errors import DataError, InvalidRequest, VerbNotSupported
from genservice.model.fit import DataSet, Progress
from genservice.training import metrics
from genservice.training.figures import ClassifierFigures, GeneratorFigures
from genservice.training.served import Advance, answers, draw

REAL_CHOICES = 4
"""Choices of real rows that a distance is averaged over."""

LABEL_OPTION = "label"
"""Option that a generator takes the label of a sample by."""


async def evaluate_generator(
    engine: Engine,
    generator: Version,
    judge: Version,
    data: DataSet,
    *,
    samples: int = 10_000,
    seed: int = 0,
    progress: Progress = lambda done, total, figures: None,
) -> GeneratorFigures:
    """Measures samples of a labelled generator, drawn at default options and spread evenly over the labels.

    The yardstick is the distance of two disjoint random halves of real rows, each as many as there are samples.

    Args:
        engine: Serves both.
        generator: What is measured.
        judge: A classifier and embedder that had no part in the generator's training.
        data: What the generator was trained on.
        samples: How many to draw; rounded down to the same number for each label.
        seed: Seed of the samples, and of the choice of real rows.
        progress: Is told how far it is.

    Raises:
        InvalidRequest: The generator has no labels, or `samples` is less than two of each.
        VerbNotSupported: The judge cannot judge.
        DataError: The data has not twice as many rows as are drawn, or has other labels.
    """
    names = _labels_of(generator, data)
    per_label = samples // len(names)
    if per_label < 2:
        raise InvalidRequest(f"An evaluation takes two samples of each of the {len(names)} labels, at least.")
    if missing := {"classify", "embed"} - set(judge.verbs):
        raise VerbNotSupported(f"{judge.name} cannot be the judge: it cannot {' and '.join(sorted(missing))}.")
    columns = _columns(judge, names)
    asked = np.repeat(np.arange(len(names)), per_label)
    real, real_labels = _real_rows(data, names, 2 * len(asked))
    advance = _counter(progress, 3 * len(asked) + len(real))

    started = perf_counter()
    drawn = [
        await draw(
            engine,
            generator,
            per_label,
            seed=seed,
            first_index=label * per_label,
            options={LABEL_OPTION: name},
            advance=advance,
        )
        for label, name in enumerate(names)
    ]
    elapsed_s = perf_counter() - started
    rows = np.concatenate(drawn)
    probabilities = await answers(engine, judge, "classify", rows, advance)
    right = probabilities.argmax(axis=1) == np.asarray(columns)[asked]
    embeddings = await answers(engine, judge, "embed", rows, advance)
    real_embeddings = await answers(engine, judge, "embed", real, advance)

    distance, distance_real = _frechet_distances(embeddings, real_embeddings, seed)

    def spread(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
        here = metrics.within_label_distance(theirs, real_labels, seed=seed)
        return metrics.within_label_distance(ours, asked, seed=seed) / here

    return GeneratorFigures(
        model=str(generator.name),
        data=data.name,
        seed=seed,
        rows=len(rows),
        judge=str(judge.name),
        agreement=float(right.mean()),
        agreement_by_label={name: float(right[asked == label].mean()) for label, name in enumerate(names)},
        frechet_distance=distance,
        frechet_distance_real=distance_real,
        frechet_ratio=distance / distance_real,
        embedding_spread=spread(embeddings, real_embeddings),
        pixel_spread=spread(rows, real),
        samples_per_second=len(rows) / elapsed_s,
    )


async def evaluate_classifier(
    engine: Engine, classifier: Version, data: DataSet, *, progress: Progress = lambda done, total, figures: None
) -> ClassifierFigures:
    """Measures a classifier on the rows that are held out.

    Args:
        engine: Serves it.
        classifier: What is measured.
        data: What it was trained on; its test rows are used.
        progress: Is told how far it is.

    Raises:
        DataError: The data has other labels.
    """
    columns = _columns(classifier, data.labels)
    labels = np.asarray(columns)[data.test_labels]
    started = perf_counter()
    advance = _counter(progress, len(labels))
    probabilities = await answers(engine, classifier, "classify", data.test_inputs, advance)
    elapsed_s = perf_counter() - started
    predicted = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(predicted, labels, probabilities.shape[1])
    return ClassifierFigures(
        model=str(classifier.name),
        data=data.name,
        rows=len(labels),
        accuracy=metrics.accuracy(predicted, labels),
        macro_f1=metrics.macro_f1(confusion),
        expected_calibration_error=metrics.expected_calibration_error(probabilities, labels),
        labels=_names(classifier),
        confusion_matrix=confusion.tolist(),
        rows_per_second=len(labels) / elapsed_s,
    )


def _names(version: Version) -> tuple[str, ...]:
    return tuple(version.description.labels) if version.description is not None else ()


def _labels_of(generator: Version, data: DataSet) -> tuple[str, ...]:
    model = generator.description
    if model is None or not model.labels or LABEL_OPTION not in model.Options.model_fields:
        raise InvalidRequest(
            f"{generator.name} has no labels with an option {LABEL_OPTION!r}: it cannot be judged by them."
        )
    if unknown := set(model.labels) - set(data.labels):
        raise DataError(f"{data.name} has no rows of {', '.join(sorted(unknown))}, which {generator.name} can draw.")
    return tuple(model.labels)


def _columns(judge: Version, names: Sequence[str]) -> list[int]:
    """Where a classifier has each of the labels."""
    own = _names(judge)
    if unknown := set(names) - set(own):
        raise DataError(f"{judge.name} does not know the labels {', '.join(sorted(unknown))}.")
    return [own.index(name) for name in names]


def _real_rows(data: DataSet, names: Sequence[str], least: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The rows of the training data that have one of the labels, and the place of each one's label in `names`."""
    places_of = np.array([names.index(name) if name in names else -1 for name in data.labels])
    labels = places_of[data.train_labels]
    known = np.flatnonzero(labels >= 0)
    if len(known) < least:
        raise DataError(f"{data.name} has {len(known)} rows, and {least} are needed: ask for fewer samples.")
    return np.asarray(data.train_inputs[known]), labels[known]


def _frechet_distances(sampled: NDArray[Any], real: NDArray[Any], seed: int) -> tuple[float, float]:
    """The distance of samples and as many real rows, and that of two disjoint halves of real rows of that number.

    Both are means over several choices of the real rows: one choice alone moves them by a fifth.
    """
    choices = np.random.default_rng(seed)
    samples = metrics.Gaussian.fitted(sampled)
    distances = []
    for _ in range(REAL_CHOICES):
        one, other = np.split(choices.permutation(len(real))[: 2 * len(sampled)], 2)
        here, there = metrics.Gaussian.fitted(real[one]), metrics.Gaussian.fitted(real[other])
        distances.append((metrics.frechet_distance(samples, here), metrics.frechet_distance(there, here)))
    distance, distance_real = np.mean(distances, axis=0)
    return float(distance), float(distance_real)


def _counter(progress: Progress, total: int) -> Advance:
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total, {})

    return advance
