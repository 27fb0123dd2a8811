"""Measures what models say of rows that are held out: labels, probabilities, labellings, likenesses."""

from collections.abc import Sequence
from math import log, prod
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.evaluation.figures import ClassifierFigures, ComparerFigures, ScorerFigures, TaggerFigures
from genservice.training.evaluation.labels import columns
from genservice.training.evaluation.subject import Advance, Rows, Subject
from genservice.training.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
)
from genservice.training.metrics.verification import Roc, pair_distances, rank_one

MOST_COMPARED = 3000
"""Most rows all pairs of which are compared."""

EXAMPLES = 8
"""Tagged sequences that are kept for people."""

ROC_POINTS = 256
"""Points of the characteristic that are kept."""


class ClassifierMeasurement:
    """Classifies held-out rows.

    Args:
        classifier: What is measured.
        data: What it was trained on.

    Raises:
        DataError: The data has no labels, or others.
    """

    def __init__(self, classifier: Subject, data: DataSet) -> None:
        _check_labelled(data)
        self._classifier, self._inputs = classifier, data.test_inputs
        self._labels = columns(classifier.offer, data.labels)[data.test_labels]
        self.rows = len(self._labels)

    async def measure(self, advance: Advance) -> ClassifierFigures:
        """Classifies and counts."""
        started = perf_counter()
        probabilities = await self._classifier.ask("classify", self._inputs, advance)
        elapsed_s = perf_counter() - started
        predicted = probabilities.argmax(axis=1)
        confusion = confusion_matrix(predicted, self._labels, probabilities.shape[1])
        return ClassifierFigures(
            rows=self.rows,
            accuracy=accuracy(predicted, self._labels),
            macro_f1=macro_f1(confusion),
            expected_calibration_error=expected_calibration_error(probabilities, self._labels),
            labels=self._classifier.offer.labels,
            confusion_matrix=confusion.tolist(),
            rows_per_second=self.rows / elapsed_s,
        )


class ScorerMeasurement:
    """Scores held-out rows.

    Args:
        scorer: What is measured.
        data: What it was trained on.
    """

    def __init__(self, scorer: Subject, data: DataSet) -> None:
        self._scorer, self._inputs = scorer, data.test_inputs
        self.rows = len(self._inputs)

    async def measure(self, advance: Advance) -> ScorerFigures:
        """Scores."""
        scores, kind = await self._scorer.score(self._inputs, advance)
        nats = -float(np.mean(scores, dtype=np.float64))
        return ScorerFigures(
            rows=self.rows,
            score_kind=kind,
            nats_per_row=nats,
            bits_per_dimension=nats / (prod(self._inputs.shape[1:]) * log(2)),
        )


class TaggerMeasurement:
    """Tags held-out sequences, and scores their right labellings where the model can.

    Args:
        tagger: What is measured.
        data: What it was trained on.

    Raises:
        DataError: The data has no labels, or others.
    """

    def __init__(self, tagger: Subject, data: DataSet) -> None:
        _check_labelled(data)
        columns(tagger.offer, data.labels)
        self._tagger, self._sequences = tagger, list(data.test_inputs)
        self._labellings = [[data.labels[place] for place in labels] for labels in data.test_labels]
        self._scores = "score" in tagger.offer.verbs
        self.rows = (1 + self._scores) * len(self._sequences)

    async def measure(self, advance: Advance) -> TaggerFigures:
        """Tags, counts and scores."""
        started = perf_counter()
        tagged = await self._tagger.tag(self._sequences, advance)
        elapsed_s = perf_counter() - started
        right = [
            np.array([one == other for one, other in zip(labels, truth, strict=True)])
            for labels, truth in zip(tagged, self._labellings, strict=True)
        ]
        tokens = sum(map(len, right))
        kind, nats = None, None
        if self._scores:
            scores, kind = await self._tagger.score_labellings(self._sequences, self._labellings, advance)
            nats = -float(np.sum(scores, dtype=np.float64))
        return TaggerFigures(
            sequences=len(right),
            tokens=tokens,
            token_accuracy=float(np.concatenate(right).mean()),
            sequence_accuracy=float(np.mean([row.all() for row in right])),
            score_kind=kind,
            nats_per_sequence=None if nats is None else nats / len(right),
            nats_per_token=None if nats is None else nats / tokens,
            tokens_per_second=tokens / elapsed_s,
            examples=[
                _example(*of_one) for of_one in zip(self._sequences[:EXAMPLES], tagged, self._labellings, strict=False)
            ],
        )


class ComparerMeasurement:
    """Compares held-out rows with each other.

    Args:
        comparer: What is measured.
        data: What it was trained on; labels say which rows show the same.
        seed: Seed of the choice of rows, where there are more than `MOST_COMPARED`.

    Raises:
        DataError: The data has no labels, or not two rows of each of two.
    """

    def __init__(self, comparer: Subject, data: DataSet, *, seed: int) -> None:
        _check_labelled(data)
        chosen = np.random.default_rng(seed).permutation(len(data.test_labels))[:MOST_COMPARED]
        # In the order of the data, so that the gallery's first entry of each label is the data's.
        chosen.sort()
        self._comparer, self._inputs, self._labels = comparer, data.test_inputs[chosen], data.test_labels[chosen]
        self.rows = len(chosen)
        _, counts = np.unique(self._labels, return_counts=True)
        if len(counts) < 2 or counts.min() < 2:
            raise DataError(f"{data.name} has not two rows of each of two labels that are held out.")

    async def measure(self, advance: Advance) -> ComparerFigures:
        """Embeds and compares."""
        embeddings = await self._comparer.ask("embed", self._inputs, advance)
        distances, one, other = pair_distances(embeddings)
        same = self._labels[one] == self._labels[other]
        roc = Roc.of(distances, same)
        threshold = self._comparer.offer.threshold
        taken = distances < threshold
        return ComparerFigures(
            people=len(np.unique(self._labels)),
            pictures=self.rows,
            pairs=len(distances),
            auc=roc.auc,
            tpr_at_fpr_1_percent=roc.true_positives_at(1e-2),
            tpr_at_fpr_1_permille=roc.true_positives_at(1e-3),
            threshold=threshold,
            pair_accuracy=float((taken[same].mean() + (~taken[~same]).mean()) / 2),
            rank_1=rank_one(embeddings, self._labels),
            roc=_thinned(roc),
        )


def _check_labelled(data: DataSet) -> None:
    if not data.labels or not len(data.test_labels):
        raise DataError(f"{data.name} has no labels, so what a model says of them cannot be measured.")


def _example(sequence: Rows, tagged: Sequence[str], truth: Sequence[str]) -> str:
    """A tagged sequence: words with labels, or labels alone; behind a wrong one the right one in brackets."""
    labels = [label if label == right else f"{label}[{right}]" for label, right in zip(tagged, truth, strict=True)]
    if isinstance(sequence, list):
        labels = [f"{word}/{label}" for word, label in zip(sequence, labels, strict=True)]
    return " ".join(labels)


def _thinned(roc: Roc) -> list[tuple[float, float]]:
    """Some points of the curve, more of them where few different pairs are taken for the same."""
    rates: NDArray[Any] = np.stack([roc.false_positive_rate, roc.true_positive_rate], axis=1)
    places = np.unique(np.geomspace(1, len(rates), ROC_POINTS).astype(int) - 1)
    return [(float(false), float(true)) for false, true in rates[places]]
