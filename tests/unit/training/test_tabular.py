import sys
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training.tabular import SOURCES

pytest.importorskip("sklearn", reason="the data comes with scikit-learn, which is not installed")

NOWHERE = Path("nowhere")


@pytest.mark.parametrize(
    ("name", "shape", "rows", "labels"),
    [
        ("breast-cancer", (30,), (398, 171), ("malignant", "benign")),
        ("wine", (13,), (125, 53), ("class-0", "class-1", "class-2")),
        ("iris", (4,), (105, 45), ("setosa", "versicolor", "virginica")),
        ("digits", (8, 8, 1), (1258, 539), tuple("0123456789")),
    ],
)
def test_each_source_has_the_known_rows_and_labels(
    name: str, shape: tuple[int, ...], rows: tuple[int, int], labels: tuple[str, ...]
) -> None:
    data = SOURCES[name](NOWHERE)
    assert data.name == name
    assert (data.train_inputs.shape, data.test_inputs.shape) == ((rows[0], *shape), (rows[1], *shape))
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert (len(data.train_labels), len(data.test_labels)) == rows
    assert data.labels == labels


@pytest.mark.parametrize("name", SOURCES)
def test_each_label_has_its_share_of_the_rows_held_out(name: str) -> None:
    data = SOURCES[name](NOWHERE)
    held_out, seen = np.bincount(data.test_labels), np.bincount(data.train_labels)
    np.testing.assert_allclose(held_out / (held_out + seen), 0.3, atol=0.02)


def test_the_split_is_always_the_same_and_mixes_the_rows() -> None:
    one, other = SOURCES["iris"](NOWHERE), SOURCES["iris"](NOWHERE)
    assert np.array_equal(one.test_inputs, other.test_inputs)
    assert not np.array_equal(one.test_inputs[:15], SOURCES["iris"](NOWHERE).train_inputs[:15])


def test_digits_are_pictures_as_models_of_images_take_them() -> None:
    data = SOURCES["digits"](NOWHERE)
    assert (data.train_inputs.min(), data.train_inputs.max()) == (-1, 1)


def test_where_scikit_learn_is_not_installed_people_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="wine comes with scikit-learn, which is not installed"):
        SOURCES["wine"](NOWHERE)
