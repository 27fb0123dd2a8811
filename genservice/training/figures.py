"""The figures that an evaluation gives."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, and on what.

    Args:
        model: Resource name of the version.
        data: Name of the data set.
        rows: Rows that were drawn, or classified.
    """

    model: str
    data: str
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return asdict(self)

    def metrics(self) -> dict[str, float | int | str]:
        """What fits on a card: the single values, to four significant digits."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self) if field.name != "model")
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in values
            if isinstance(value, (float, int, str))
        }


@dataclass(frozen=True, slots=True)
class GeneratorFigures(Figures):
    """How good samples are in the eyes of a judge, a classifier that had no part in the generator's training.

    Args:
        seed: Seed of the samples, and of every choice of real rows.
        judge: Resource name of the judge's version.
        agreement: Part of the samples that the judge gives the label that was asked for.
        agreement_by_label: The same for each label.
        frechet_distance: Squared Fréchet distance between samples and real data, in the judge's embedding. Not an FID:
            that is measured in the embedding of Inception.
        frechet_distance_real: The same between as many real rows and as many others: what a perfect generator has.
        frechet_ratio: The first by the second.
        embedding_spread: Mean distance of two samples of one label, in the judge's embedding, by that of real data.
        pixel_spread: The same in the rows themselves.
        samples_per_second: Speed of the draws, in this process.
    """

    seed: int
    judge: str
    agreement: float
    agreement_by_label: Mapping[str, float]
    frechet_distance: float
    frechet_distance_real: float
    frechet_ratio: float
    embedding_spread: float
    pixel_spread: float
    samples_per_second: float


@dataclass(frozen=True, slots=True)
class ClassifierFigures(Figures):
    """How good a classifier is on data that it was not trained on.

    Args:
        accuracy: Part of the rows with the right label.
        macro_f1: Mean over the labels of F1.
        expected_calibration_error: How far confidence is from accuracy, on average, in 15 bins.
        labels: Names of the rows and columns of the confusion matrix.
        confusion_matrix: A row for each true label, a column for each predicted one.
        rows_per_second: Speed of the classifying, in this process.
    """

    accuracy: float
    macro_f1: float
    expected_calibration_error: float
    labels: Sequence[str]
    confusion_matrix: Sequence[Sequence[int]]
    rows_per_second: float
