import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genservice.errors import DataError
from genservice.training import cifar10
from genservice.training.cache import cache_folder
from genservice.training.cifar10 import LABELS, file_of, load, load_cats_and_dogs


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "ROWS", {"train": 20, "test": 20})


def fill(folder: Path, *, rows: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, part in enumerate(cifar10.PARTS):
        pixels = np.random.default_rng(seed).integers(0, 256, (rows, 32, 32, 3), np.uint8)
        np.savez(folder / file_of(part), pixels=pixels, labels=np.arange(rows, dtype=np.uint8) % 10)


def change(path: Path, **arrays: Any) -> None:
    with np.load(path) as known:
        kept = {name: known[name] for name in known.files} | arrays
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})


def failing(folder: Path) -> None:
    (folder / file_of("train")).write_bytes(b"half")
    raise DataError("keras: no network")


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


def jpeg_files(colours: list[int]) -> tuple[np.ndarray, np.ndarray]:
    files = []
    for colour in colours:
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (colour,) * 3).save(file, "JPEG", quality=100)
        files.append(file.getvalue())
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])


@pytest.mark.usefixtures("few_rows")
def test_inputs_have_the_range_and_the_shape_that_models_take(tmp_path: Path) -> None:
    fill(tmp_path / "cifar10")
    pixels = np.repeat(np.uint8([0, 255]), 10 * 3072).reshape(20, 32, 32, 3)
    change(tmp_path / "cifar10" / file_of("train"), pixels=pixels)
    data = load(tmp_path, fetchers=[never])
    assert data.train_inputs.dtype == np.float32
    assert data.train_inputs.shape == (20, 32, 32, 3)
    assert data.train_inputs[[0, 19], 0, 0, 0].tolist() == [-1, 1]
    assert data.train_labels.dtype == np.int64
    assert data.test_labels.tolist() == [*range(10), *range(10)]
    assert data.labels == LABELS


@pytest.mark.usefixtures("few_rows")
def test_cats_and_dogs_are_the_rows_of_two_classes_with_labels_of_their_own(tmp_path: Path) -> None:
    fill(tmp_path / "cifar10")
    everything, data = load(tmp_path, fetchers=[never]), load_cats_and_dogs(tmp_path, fetchers=[never])
    assert (data.name, data.labels) == ("cats-and-dogs", ("cat", "dog"))
    assert data.train_labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(data.train_inputs, everything.train_inputs[[3, 5, 13, 15]])


@pytest.mark.usefixtures("few_rows")
def test_jpeg_files_end_to_end_are_decoded(tmp_path: Path) -> None:
    fill(tmp_path / "cifar10")
    jpeg, offsets = jpeg_files([0, 10, 20, 255, 40, 50, 60, 70, 80, 90] * 2)
    change(tmp_path / "cifar10" / file_of("test"), pixels=None, jpeg=jpeg, offsets=offsets)
    np.testing.assert_allclose(load_cats_and_dogs(tmp_path).test_inputs[:, 0, 0, 0], [1, 50 / 127.5 - 1] * 2, atol=0.02)


@pytest.mark.usefixtures("few_rows")
def test_what_is_fetched_is_kept(tmp_path: Path) -> None:
    load_cats_and_dogs(tmp_path, fetchers=[failing, fill])
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]
    assert len(load(tmp_path, fetchers=[never]).train_inputs) == 20


@pytest.mark.usefixtures("few_rows")
def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"keras: no network.*Put train\.npz and test\.npz into .*cifar10"):
        load(tmp_path, fetchers=[failing])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_rows")
def test_keras_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = (np.full((20, 32, 32, 3), 255, np.uint8), np.arange(20, dtype=np.uint8)[:, None] % 10)
    source = SimpleNamespace(load_data=lambda: (part, part))
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(datasets=SimpleNamespace(cifar10=source)))
    data = load(tmp_path)
    assert data.test_labels.tolist() == part[1].ravel().tolist()
    assert data.test_inputs.min() == 1


@pytest.mark.usefixtures("few_rows")
def test_a_download_that_fails_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    with pytest.raises(DataError, match=r"^keras\.datasets: "):
        cifar10.fetch_by_keras(tmp_path)


def _no_archive(path: Path) -> None:
    path.write_bytes(b"<html>")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _broken_jpeg(path: Path) -> None:
    _, offsets = jpeg_files([0] * 20)
    change(path, pixels=None, jpeg=np.zeros(offsets[-1], np.uint8), offsets=offsets)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_archive, "cannot be read"),
        (_cut, "cannot be read"),
        (_broken_jpeg, "cannot be read"),
        (lambda path: change(path, labels=None), "labels"),
        (lambda path: change(path, pixels=None), "jpeg"),
        (lambda path: change(path, labels=np.arange(20, dtype=np.uint8)), "from 0 to 9"),
        (lambda path: change(path, labels=np.zeros(0, np.uint8)), "has 20 there"),
        (lambda path: change(path, pixels=np.zeros((19, 32, 32, 3), np.uint8)), "20 labels for 19 pictures"),
        (lambda path: change(path, pixels=np.zeros((20, 28, 28, 1), np.uint8)), r"not uint8 \(32, 32, 3\)"),
        (lambda path: change(path, pixels=np.zeros((20, 32, 32, 3), np.float32)), "pictures float32"),
    ],
)
@pytest.mark.usefixtures("few_rows")
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    fill(tmp_path / "cifar10")
    damage(tmp_path / "cifar10" / file_of("train"))
    with pytest.raises(DataError, match=message):
        load(tmp_path, fetchers=[never])


def test_the_real_data_has_the_known_numbers_of_rows() -> None:
    if not (cache_folder() / "cifar10").is_dir():
        pytest.skip("CIFAR-10 is not in the cache")
    data = load_cats_and_dogs(cache_folder(), fetchers=[])
    assert np.bincount(data.train_labels).tolist() == [5000] * 2
    assert np.bincount(data.test_labels).tolist() == [1000] * 2
    assert data.train_inputs.shape == (10_000, 32, 32, 3)
    assert data.test_inputs.shape == (2_000, 32, 32, 3)
