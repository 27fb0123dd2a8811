"""Measures samples against real data, in features."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError, InvalidRequest, VerbNotSupported
from genservice.model.fit import DataSet
from genservice.model.media import to_uint8
from genservice.training.evaluation.features import COMPARISONS, FeatureRows, compare
from genservice.training.evaluation.figures import FeatureFigures, GeneratorFigures
from genservice.training.evaluation.labels import LABEL_OPTION, columns, drawn_labels, labelled_rows
from genservice.training.evaluation.subject import Advance, Subject

MOST_SAMPLES = 10_000
"""Samples where no number is asked for and as many rows are held out."""

EXAMPLES = 80
"""Most samples that are kept for people."""

EXAMPLES_IN_A_ROW = 8
"""Samples of a label that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Real:
    """Real rows that can be compared with samples.

    Args:
        held_out: As many rows as there are samples, in no particular order.
        held_out_labels: Place of each one's label in the generator's labels.
        training: All rows of the training data.
    """

    held_out: NDArray[Any]
    held_out_labels: NDArray[np.int64]
    training: NDArray[Any]


class GeneratorMeasurement:
    """Draws samples at default options, and compares them with the training data.

    They are drawn with the labels that as many held-out rows have, and these are compared likewise: in the judge's
    embedding, and in pixels, or rows where they are no pictures.

    Args:
        generator: What is measured.
        judge: A classifier and embedder that had no part in the generator's training; where the generator takes no
            label, an embedder suffices. None: there is none.
        data: What the generator was trained on.
        samples: How many to draw; None: as many as rows are held out, up to `MOST_SAMPLES`.
        seed: Seed of the samples, and of every choice of rows.

    Raises:
        InvalidRequest: There are too few samples, or the judge takes other rows.
        VerbNotSupported: The judge cannot judge.
        DataError: The data has fewer rows than samples are asked for, or other labels.
    """

    def __init__(
        self, generator: Subject, judge: Subject | None, data: DataSet, *, samples: int | None, seed: int
    ) -> None:
        self._generator, self._judge, self._seed = generator, judge, seed
        self._names = drawn_labels(generator.offer, data)
        if judge is not None:
            needed = {"classify", "embed"} if self._names else {"embed"}
            if missing := needed - set(judge.offer.verbs):
                raise VerbNotSupported(
                    f"{judge.offer.name} cannot be the judge: it cannot {' and '.join(sorted(missing))}."
                )
            if judge.offer.event.shape != generator.offer.event.shape:
                raise InvalidRequest(
                    f"{judge.offer.name} cannot be the judge: it takes rows of the shape "
                    f"{list(judge.offer.event.shape)}, and {generator.offer.name} draws "
                    f"{list(generator.offer.event.shape)}."
                )
            self._columns = columns(judge.offer, self._names) if self._names else np.zeros(0, np.int64)
        self._real = self._real_rows(data, samples)

    @property
    def rows(self) -> int:
        """Rows that it tells of."""
        drawn = len(self._real.held_out)
        judged = 2 * drawn + len(self._real.training) + (drawn if self._names else 0)
        spaces = 2 if self._judge is not None else 1
        return drawn + (judged if self._judge is not None else 0) + spaces * COMPARISONS * drawn

    async def measure(self, advance: Advance) -> GeneratorFigures:
        """Draws and compares."""
        asked = np.sort(self._real.held_out_labels)
        started = perf_counter()
        samples = await self._draw(asked, advance)
        elapsed_s = perf_counter() - started
        right: NDArray[np.bool_] | None = None
        by_features = []
        if self._judge is not None:
            judge = self._judge
            if self._names:
                probabilities = await judge.ask("classify", samples, advance)
                right = probabilities.argmax(axis=1) == self._columns[asked]
            embedded = FeatureRows(
                judge.offer.name,
                await judge.ask("embed", samples, advance),
                await judge.ask("embed", self._real.held_out, advance),
                await judge.ask("embed", self._real.training, advance),
            )
            by_features.append(self._compare(embedded, asked, advance))
        by_features.append(self._compare(self._flat(samples), asked, advance))
        return GeneratorFigures(
            samples=len(samples),
            judge=None if self._judge is None else self._judge.offer.name,
            agreement=None if right is None else float(right.mean()),
            agreement_by_label={}
            if right is None
            else {self._names[label]: float(right[asked == label].mean()) for label in np.unique(asked)},
            by_features=by_features,
            samples_per_second=len(samples) / elapsed_s,
            examples=self._pictures(asked, samples),
        )

    def _real_rows(self, data: DataSet, samples: int | None) -> _Real:
        held_out, labels = labelled_rows(data, data.test_inputs, data.test_labels, self._names)
        training, _ = labelled_rows(data, data.train_inputs, data.train_labels, self._names)
        if held_out.shape[1:] != self._generator.offer.event.shape:
            raise DataError(
                f"{data.name} has rows of the shape {list(held_out.shape[1:])}, and {self._generator.offer.name} draws "
                f"{list(self._generator.offer.event.shape)}."
            )
        most = min(len(held_out), len(training))
        wanted = min(MOST_SAMPLES, most) if samples is None else samples
        if wanted > most:
            raise DataError(f"{data.name} has {most} rows to compare with, not {wanted}: ask for fewer samples.")
        chosen = np.random.default_rng(self._seed).permutation(len(held_out))[:wanted]
        labels = labels[chosen]
        counts = np.bincount(labels, minlength=max(1, len(self._names)))
        if wanted < 5 or counts.min() < 2:
            raise InvalidRequest(
                f"{wanted} samples are too few: at least 5 are compared, and 2 of each label, so ask for more."
            )
        return _Real(held_out[chosen], labels, training)

    async def _draw(self, asked: NDArray[np.int64], advance: Advance) -> NDArray[Any]:
        parts = []
        for label in np.unique(asked):
            options = {LABEL_OPTION: self._names[label]} if self._names else {}
            first, count = int(np.searchsorted(asked, label)), int((asked == label).sum())
            parts.append(
                await self._generator.draw(count, seed=self._seed, first_index=first, options=options, advance=advance)
            )
        return np.concatenate([np.asarray(part) for part in parts])

    def _pictures(self, asked: NDArray[np.int64], samples: NDArray[Any]) -> NDArray[np.uint8]:
        """Some samples as pictures, a row of each label."""
        event = self._generator.offer.event
        if not self._generator.offer.is_image:
            return np.zeros((0, 0, 0, 0), np.uint8)
        if event.minimum is None:
            low, high = float(self._real.training.min()), float(self._real.training.max())
            event = replace(event, minimum=low, maximum=high)
        in_a_row = EXAMPLES_IN_A_ROW if self._names else EXAMPLES
        places = [np.flatnonzero(asked == label)[:in_a_row] for label in np.unique(asked)]
        return to_uint8(samples[np.concatenate(places)[:EXAMPLES]], event)

    def _flat(self, samples: NDArray[Any]) -> FeatureRows:
        """The rows as they are if they are pictures, else with standardised columns."""
        held_out, training = self._real.held_out, self._real.training
        flat = [rows.reshape(len(rows), -1) for rows in (samples, held_out, training)]
        if self._generator.offer.is_image:
            return FeatureRows("pixels", *flat)
        mean, scale = np.mean(flat[-1], axis=0, dtype=np.float64), np.std(flat[-1], axis=0, dtype=np.float64)
        scale[scale == 0] = 1
        return FeatureRows("rows", *((rows - mean) / scale for rows in flat))

    def _compare(self, rows: FeatureRows, asked: NDArray[np.int64], advance: Advance) -> FeatureFigures:
        return compare(rows, asked, self._real.held_out_labels, seed=self._seed, advance=advance)
