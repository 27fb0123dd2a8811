"""Compares samples with real data in some features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.training.evaluation.figures import FeatureFigures
from genservice.training.evaluation.subject import Advance
from genservice.training.metrics.distances import Gaussian, frechet_distance, kernel_distance
from genservice.training.metrics.neighbours import near_copies, precision_and_recall
from genservice.training.metrics.spread import within_label_distance

REAL_CHOICES = 4
"""Choices of real rows that a distance is averaged over: one choice alone moves a Fréchet distance by a fifth."""

COMPARISONS = REAL_CHOICES + 2
"""How often `compare` tells that it has gone through the samples."""

NEIGHBOUR_ROWS = 5000
"""Most samples, and rows, whose neighbours are looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Samples and real data in some features.

    Args:
        name: Name of the features.
        samples: `[rows, dimensions]`.
        held_out: As many real rows, none of them in the training data, in no particular order.
        training: The training data.
    """

    name: str
    samples: NDArray[Any]
    held_out: NDArray[Any]
    training: NDArray[Any]


def compare(
    rows: FeatureRows, labels: NDArray[np.int64], held_out_labels: NDArray[np.int64], *, seed: int, advance: Advance
) -> FeatureFigures:
    """Compares samples, and as the yardstick real rows that are held out, with the training data.

    Args:
        rows: All of these.
        labels: What the samples were asked to be, int64 `[rows]`.
        held_out_labels: What the held-out rows are, int64 `[rows]`.
        seed: Seed of every choice of rows.
        advance: Is told of the samples, `COMPARISONS` times.
    """
    random = np.random.default_rng(seed)
    row_count = len(rows.samples)
    # Samples come by label, and parts of them are to have all labels.
    samples = rows.samples[random.permutation(row_count)]
    references = [rows.training[random.permutation(len(rows.training))[:row_count]] for _ in range(REAL_CHOICES)]
    ours, theirs = Gaussian.fitted(samples), Gaussian.fitted(rows.held_out)
    distances = []
    for reference in references:
        there = Gaussian.fitted(reference)
        distances.append(
            (
                frechet_distance(ours, there),
                frechet_distance(theirs, there),
                kernel_distance(samples, reference),
                kernel_distance(rows.held_out, reference),
            )
        )
        advance(row_count)
    frechet, frechet_real, kernel, kernel_real = (float(mean) for mean in np.mean(distances, axis=0))
    few, few_real, few_others = (some[:NEIGHBOUR_ROWS] for some in (samples, rows.held_out, references[0]))
    precision, recall = precision_and_recall(few, few_others)
    precision_real, recall_real = precision_and_recall(few_real, few_others)
    advance(row_count)
    copies, copies_real = near_copies(few, few_real, rows.training)
    advance(row_count)
    real_spread = within_label_distance(rows.held_out, held_out_labels, seed=seed)
    return FeatureFigures(
        features=rows.name,
        frechet_distance=frechet,
        frechet_distance_real=frechet_real,
        frechet_ratio=frechet / frechet_real,
        kernel_distance=kernel,
        kernel_distance_real=kernel_real,
        precision=precision,
        precision_real=precision_real,
        recall=recall,
        recall_real=recall_real,
        spread=within_label_distance(rows.samples, labels, seed=seed) / real_spread,
        near_copies=copies,
        near_copies_real=copies_real,
    )
