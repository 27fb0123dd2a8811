"""Labels of the data in the order of a model's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet
from genservice.training.evaluation.subject import Offer

LABEL_OPTION = "label"
"""Option that a generator takes the label of a sample by."""


def drawn_labels(generator: Offer, data: DataSet) -> tuple[str, ...]:
    """The labels that a generator can be asked for; none where it takes none.

    Raises:
        DataError: The data has other labels.
    """
    if not generator.labels or LABEL_OPTION not in generator.options:
        return ()
    if unknown := set(generator.labels) - set(data.labels):
        raise DataError(f"{data.name} has no rows of {', '.join(sorted(unknown))}, which {generator.name} can draw.")
    return generator.labels


def columns(classifier: Offer, names: Sequence[str]) -> NDArray[np.int64]:
    """Where a classifier has each of the labels.

    Raises:
        DataError: It does not know one.
    """
    if unknown := set(names) - set(classifier.labels):
        raise DataError(f"{classifier.name} does not know the labels {', '.join(sorted(unknown))}.")
    return np.array([classifier.labels.index(name) for name in names], np.int64)


def labelled_rows(
    data: DataSet, inputs: NDArray[Any], labels: NDArray[Any], names: Sequence[str]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The rows that have one of the labels, and the place of each one's label in `names`.

    Args:
        data: Where the rows are from.
        inputs: Rows of it.
        labels: Their labels, places in `data.labels`.
        names: The labels that are asked for; none: all rows are taken, as if they had one label.
    """
    if not names:
        return inputs, np.zeros(len(inputs), np.int64)
    places_of = np.array([names.index(name) if name in names else -1 for name in data.labels])
    places = places_of[labels]
    if (places >= 0).all():
        return inputs, places
    known = np.flatnonzero(places >= 0)
    return inputs[known], places[known]
