"""The figures that an evaluation gives."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Figure = float | int | str


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one thing that a model does."""

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {field.name: value for field, value in self._items() if field.metadata.get("json", True)}

    def metrics(self) -> dict[str, Figure]:
        """What fits on a card: the single values, to four significant digits."""
        return {
            field.name: float(f"{value:.4g}") if isinstance(value, float) else value
            for field, value in self._items()
            if isinstance(value, (float, int, str))
        }

    def _items(self) -> list[tuple[Any, Any]]:
        return [(field, getattr(self, field.name)) for field in fields(self)]


@dataclass(frozen=True, slots=True)
class FeatureFigures(Figures):
    """How near samples are to real data in some features; the yardstick is how near real rows are that are held out.

    The distances are to as many rows of the training data, and are means over several choices of these.

    Args:
        features: The features: the resource name of the judge that embeds, `pixels`, or `rows`: the rows themselves,
            each column standardised by its mean and deviation in the training data.
        frechet_distance: Squared Fréchet distance between samples and real data. Not an FID: that is measured in the
            embedding of Inception.
        frechet_distance_real: The same between real rows that are held out and others: what a perfect generator has.
        frechet_ratio: The first by the second.
        kernel_distance: Squared maximum mean discrepancy with a cubic kernel, between samples and real data.
        kernel_distance_real: The same between real rows.
        precision: Part of the samples that lie among the real rows.
        precision_real: The same of real rows that are held out.
        recall: Part of the real rows that lie among the samples.
        recall_real: The same among real rows that are held out.
        spread: Mean distance of two samples, of one label where there are labels, by that of real data.
        near_copies: Part of the samples that are nearer to a row of the training data than 99 of 100 held-out rows.
        near_copies_real: The same of the held-out rows, 0.01 but for rounding.
    """

    features: str
    frechet_distance: float
    frechet_distance_real: float
    frechet_ratio: float
    kernel_distance: float
    kernel_distance_real: float
    precision: float
    precision_real: float
    recall: float
    recall_real: float
    spread: float
    near_copies: float
    near_copies_real: float


@dataclass(frozen=True, slots=True)
class GeneratorFigures(Figures):
    """How good samples are.

    Args:
        samples: Samples that were drawn, and real rows that they are compared with.
        judge: Resource name of the judge's version, which had no part in the generator's training; None: there is none.
        agreement: Part of the samples that the judge gives the label that was asked for; None without labels or judge.
        agreement_by_label: The same for each label.
        by_features: How near they are to real data in the judge's embedding, and in pixels or rows.
        samples_per_second: Speed of the draws.
        examples: Some samples for people, uint8 `[rows, height, width, channels]`; none where they are no pictures.
    """

    samples: int
    judge: str | None
    agreement: float | None
    agreement_by_label: Mapping[str, float]
    by_features: Sequence[FeatureFigures]
    samples_per_second: float
    examples: NDArray[np.uint8] = field(repr=False, compare=False, metadata={"json": False})

    def to_json(self) -> dict[str, Any]:
        """Everything but the examples, those of the features by the names that they have on a card too."""
        values = Figures.to_json(self)
        values["by_features"] = [asdict(figures) for figures in self.by_features]
        return {name: value for name, value in values.items() if value is not None} | self._flat(rounded=False)

    def metrics(self) -> dict[str, Figure]:
        """The single values; figures in pixels or rows are named `pixel_…` or `row_…`."""
        values = Figures.metrics(self)
        speed = values.pop("samples_per_second")
        return values | self._flat(rounded=True) | {"samples_per_second": speed}

    def _flat(self, *, rounded: bool) -> dict[str, Figure]:
        flat: dict[str, Figure] = {}
        for figures in self.by_features:
            prefix = {"pixels": "pixel_", "rows": "row_"}.get(figures.features, "")
            for name, value in (figures.metrics() if rounded else figures.to_json()).items():
                # What the features are, the names tell.
                if name != "features":
                    flat["embedding_spread" if (prefix, name) == ("", "spread") else prefix + name] = value
        return flat


@dataclass(frozen=True, slots=True)
class TextFigures(Figures):
    """How samples of text are.

    Args:
        samples: Texts that were drawn, and excerpts of held-out texts that they are compared with.
        near_copies: Part of the texts that repeat 40 characters or more of the training data.
        near_copies_real: The same of excerpts of held-out texts of the samples' mean length.
        samples_per_second: Speed of the draws.
        examples: Some samples, for people.
    """

    samples: int
    near_copies: float
    near_copies_real: float
    samples_per_second: float
    examples: Sequence[str] = field(repr=False, compare=False, metadata={"json": False})


@dataclass(frozen=True, slots=True)
class ClassifierFigures(Figures):
    """How good a classifier is on data that it was not trained on.

    Args:
        rows: Rows that are held out.
        accuracy: Part of the rows with the right label.
        macro_f1: Mean over the labels of F1.
        expected_calibration_error: How far confidence is from accuracy, on average, in 15 bins.
        labels: Names of the rows and columns of the confusion matrix.
        confusion_matrix: A row for each true label, a column for each predicted one.
        rows_per_second: Speed of the classifying.
    """

    rows: int
    accuracy: float
    macro_f1: float
    expected_calibration_error: float
    labels: Sequence[str]
    confusion_matrix: Sequence[Sequence[int]]
    rows_per_second: float


@dataclass(frozen=True, slots=True)
class ScorerFigures(Figures):
    """How probable held-out rows are.

    Args:
        rows: Rows that are held out.
        score_kind: `EXACT`; or `LOWER_BOUND`: then the true figures are at most these; or `UNNORMALIZED`: then they
            only compare versions that have the same constant.
        nats_per_row: Mean of -log p(x).
        bits_per_dimension: The same by dimension, in bits. Of densities in the event's own scale, not in that of bytes.
    """

    rows: int
    score_kind: str
    nats_per_row: float
    bits_per_dimension: float


@dataclass(frozen=True, slots=True)
class TextScorerFigures(Figures):
    """How probable held-out texts are.

    Args:
        characters: Characters of the held-out texts.
        excerpt_characters: Consecutive excerpts of so many are scored, each with nothing before it in sight.
        score_kind: As in `ScorerFigures`.
        nats_per_character: Mean of -log p of a character, given what is before it in its excerpt.
    """

    characters: int
    excerpt_characters: int
    score_kind: str
    nats_per_character: float


@dataclass(frozen=True, slots=True)
class TaggerFigures(Figures):
    """How good a tagger is on sequences that it was not trained on.

    Args:
        sequences: Sequences that are held out.
        tokens: Positions of them all.
        token_accuracy: Part of the positions with the right label.
        sequence_accuracy: Part of the sequences with the right label at each position.
        score_kind: What kind of scores the model gives; None: it gives none.
        nats_per_sequence: Mean of -log p(right labelling | sequence).
        nats_per_token: The same by position.
        tokens_per_second: Speed of the tagging.
        examples: Some sequences and their labels, for people.
    """

    sequences: int
    tokens: int
    token_accuracy: float
    sequence_accuracy: float
    score_kind: str | None
    nats_per_sequence: float | None
    nats_per_token: float | None
    tokens_per_second: float
    examples: Sequence[str] = field(repr=False, compare=False, metadata={"json": False})


@dataclass(frozen=True, slots=True)
class ComparerFigures(Figures):
    """How well distances tell whether two inputs show the same person, or thing, none of whom was trained on.

    Args:
        people: Labels of the held-out rows.
        pictures: Rows that are held out.
        pairs: All pairs of them.
        auc: Area under the receiver operating characteristic.
        tpr_at_fpr_1_percent: Part of the same pairs below the threshold that takes 1 % of the different for the same.
        tpr_at_fpr_1_permille: The same at 0.1 %.
        threshold: The model's own.
        pair_accuracy: Mean of the parts of the same and of the different pairs that the model's threshold gets right.
        rank_1: Part of the pictures that are named rightly where each person has one picture in the gallery.
        roc: The characteristic: false and true positive rates, thinned out.
    """

    people: int
    pictures: int
    pairs: int
    auc: float
    tpr_at_fpr_1_percent: float
    tpr_at_fpr_1_permille: float
    threshold: float
    pair_accuracy: float
    rank_1: float
    roc: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of a version, and on what.

    Args:
        model: Resource name of the version.
        data: Name of the data set.
        seed: Seed of the samples, and of every choice of real rows.
        parts: The figures of each thing that it does.
        card: The version's card as it is, as Markdown.
    """

    model: str
    data: str
    seed: int
    parts: Sequence[Figures]
    card: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        values: dict[str, Any] = {"model": self.model, "data": self.data, "seed": self.seed}
        for part in self.parts:
            values |= part.to_json()
        return values

    def metrics(self) -> dict[str, Figure]:
        """What fits on a card: the single values by name."""
        values: dict[str, Figure] = {"data": self.data, "seed": self.seed}
        for part in self.parts:
            values |= part.metrics()
        return values
