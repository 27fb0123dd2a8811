"""Small data sets that come with scikit-learn: breast cancer, wine and iris as tables, digits as pictures of 8 by 8.

Source: the UCI Machine Learning Repository (Dua & Graff 2019, archive.ics.uci.edu), whose data sets are CC BY 4.0.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError
from genservice.model.fit import DataSet

HELD_OUT = 0.3
"""Share of each label's rows that is held out."""

SPLIT_SEED = 0

_LOADERS = {"breast-cancer": "load_breast_cancer", "wine": "load_wine", "iris": "load_iris", "digits": "load_digits"}
_CITATIONS = {
    "breast-cancer": "Street, Wolberg & Mangasarian 1993, doi:10.1117/12.148698",
    "wine": "Aeberhard & Forina 1991, doi:10.24432/C5PC7J",
    "iris": "Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x",
    "digits": "Alpaydin & Kaynak 1998, doi:10.24432/C50P49",
}
_GREYEST = 16
"""The greatest value of a pixel of digits."""


def load(name: str, cache: Path) -> DataSet:
    """Gives a data set out of the scikit-learn that is installed.

    Args:
        name: One of `SOURCES`.
        cache: Not used: nothing is fetched.

    Returns:
        Of digits float32 `[rows, 8, 8, 1]` in [-1, 1], white on black; else float32 `[rows, features]` in the units of
        the measurements. The split is stratified, and always the same.

    Raises:
        DataError: scikit-learn is not installed.
    """
    del cache
    try:
        from sklearn import datasets
    except ImportError as missing:
        raise DataError(f"{name} comes with scikit-learn, which is not installed. Install it.") from missing
    bundled: Any = getattr(datasets, _LOADERS[name])()
    labels = bundled.target.astype(np.int64)
    inputs = bundled.images[..., None] / (_GREYEST / 2) - 1 if name == "digits" else bundled.data
    inputs = inputs.astype(np.float32)
    held_out = _held_out(labels)
    return DataSet(
        name=name,
        train_inputs=inputs[~held_out],
        train_labels=labels[~held_out],
        test_inputs=inputs[held_out],
        test_labels=labels[held_out],
        labels=tuple(str(label).replace("_", "-") for label in bundled.target_names),
        licence="CC-BY-4.0",
        citation=_CITATIONS[name],
    )


def _held_out(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks the rows that are held out: of each label the same share, drawn at random."""
    generator = np.random.default_rng(SPLIT_SEED)
    held_out = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        held_out[rows[: round(HELD_OUT * len(rows))]] = True
    return held_out


SOURCES: Mapping[str, Callable[[Path], DataSet]] = {name: partial(load, name) for name in _LOADERS}
