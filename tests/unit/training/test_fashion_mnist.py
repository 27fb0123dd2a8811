import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training import fashion_mnist
from genservice.training.cache import cache_folder
from genservice.training.fashion_mnist import FILES, LABELS, images_file, labels_file, load
from genservice.training.idx import write_idx


def fill(folder: Path, *, rows: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, part in enumerate(fashion_mnist.PARTS):
        generator = np.random.default_rng(seed)
        write_idx(folder / images_file(part), generator.integers(0, 256, (rows, 28, 28)))
        write_idx(folder / labels_file(part), np.arange(rows) % 10)


def failing(message: str) -> Callable[[Path], None]:
    def fetch(folder: Path) -> None:
        (folder / FILES[0]).write_bytes(b"half")
        raise DataError(message)

    return fetch


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


def test_the_cache_comes_first_and_nothing_is_fetched(tmp_path: Path) -> None:
    fill(tmp_path / "cache" / "fashion-mnist", rows=10)
    fill(tmp_path / "system")
    data = load(tmp_path / "cache", system=tmp_path / "system", fetchers=[never])
    assert len(data.train_inputs) == 10


def test_what_debian_installed_is_used_where_it_is(tmp_path: Path) -> None:
    fill(tmp_path / "system")
    data = load(tmp_path / "cache", system=tmp_path / "system", fetchers=[never])
    assert len(data.train_inputs) == 20
    assert not (tmp_path / "cache").exists()


def test_inputs_have_the_range_and_the_shape_that_models_take(tmp_path: Path) -> None:
    folder = tmp_path / "fashion-mnist"
    fill(folder)
    write_idx(folder / images_file("train"), np.repeat([0, 255], 10 * 784).reshape(20, 28, 28))
    data = load(tmp_path, system=tmp_path / "none")
    assert data.train_inputs.dtype == np.float32
    assert data.train_inputs.shape == (20, 28, 28, 1)
    assert data.train_inputs[[0, 19], 0, 0, 0].tolist() == [-1, 1]
    assert data.train_labels.dtype == np.int64
    assert data.labels == LABELS


def test_the_next_fetcher_is_asked_where_one_fails_and_the_result_is_kept(tmp_path: Path) -> None:
    load(tmp_path, system=tmp_path / "none", fetchers=[failing("no network"), fill])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fashion-mnist"]
    load(tmp_path, system=tmp_path / "none", fetchers=[never])


def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"apt: nothing; keras: nothing.*Put .* into .*fashion-mnist, or install Debian"
    ):
        load(tmp_path, system=tmp_path / "none", fetchers=[failing("apt: nothing"), failing("keras: nothing")])
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_never_taken_into_the_cache(tmp_path: Path) -> None:
    def fetch(folder: Path) -> None:
        fill(folder)
        (folder / labels_file("t10k")).write_bytes(b"<html>")

    with pytest.raises(DataError, match="t10k-labels"):
        load(tmp_path, system=tmp_path / "none", fetchers=[fetch])
    assert list(tmp_path.iterdir()) == []


def test_who_fetches_at_the_same_time_finds_what_the_other_has_fetched(tmp_path: Path) -> None:
    def fetch(folder: Path) -> None:
        fill(folder)
        fill(tmp_path / "fashion-mnist", rows=30)

    assert len(load(tmp_path, system=tmp_path / "none", fetchers=[fetch]).train_inputs) == 30


def test_half_a_folder_of_somebody_else_is_told_of(tmp_path: Path) -> None:
    fill(tmp_path / "fashion-mnist")
    (tmp_path / "fashion-mnist" / FILES[0]).unlink()
    with pytest.raises(DataError, match="cannot be written"):
        load(tmp_path, system=tmp_path / "none", fetchers=[fill])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (images_file("train"), np.zeros((20, 27, 28)), r"pictures of \(27, 28\)"),
        (images_file("train"), np.zeros((19, 28, 28)), "20 labels for 19 pictures"),
        (labels_file("t10k"), np.full(20, 10), "has the label 10"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    fill(tmp_path / "fashion-mnist")
    write_idx(tmp_path / "fashion-mnist" / name, values)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_debians_package_is_fetched_with_apt_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    fill(source)
    programs = tmp_path / "bin"
    programs.mkdir()
    datasets = "usr/share/datasets"
    for name, script in {
        "apt-get": '[ "$1 $2" = "download dataset-fashion-mnist" ] && touch dataset-fashion-mnist_1_all.deb',
        "dpkg": f'[ "$1" = -x ] && mkdir -p {datasets} && cp -r {source} {datasets}/fashion-mnist',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    data = load(tmp_path / "cache", system=tmp_path / "none", fetchers=[fashion_mnist.fetch_by_apt])
    assert len(data.test_labels) == 20
    assert sorted(path.name for path in (tmp_path / "cache" / "fashion-mnist").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("script", [None, "echo 'E: Unable to locate package' >&2; exit 100", "true"])
def test_an_apt_that_is_not_there_or_fails_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    if script is not None:
        (tmp_path / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "apt-get").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"apt-get|sh"):
        fashion_mnist.fetch_by_apt(tmp_path)


def test_keras_is_asked_where_there_is_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = (np.full((20, 28, 28), 255, np.uint8), np.arange(20) % 10)
    source = SimpleNamespace(load_data=lambda: (part, part))
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(datasets=SimpleNamespace(fashion_mnist=source)))
    data = load(tmp_path, system=tmp_path / "none", fetchers=[fashion_mnist.fetch_by_keras])
    assert data.test_labels.tolist() == part[1].tolist()
    assert data.test_inputs.min() == 1


def test_a_download_that_fails_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    with pytest.raises(DataError, match=r"^keras\.datasets: "):
        fashion_mnist.fetch_by_keras(tmp_path)


def test_the_cache_is_where_the_environment_says_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENSERVICE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "genservice"
    monkeypatch.setenv("GENSERVICE_DATA", str(tmp_path / "data"))
    assert cache_folder() == tmp_path / "data"
    monkeypatch.delenv("GENSERVICE_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "genservice"


def test_the_real_data_has_the_known_numbers_of_rows() -> None:
    folders = [cache_folder() / "fashion-mnist", fashion_mnist.DEBIAN_FOLDER]
    if not any((folder / name).is_file() for folder in folders for name in FILES):
        pytest.skip("Fashion-MNIST is neither in the cache nor installed")
    data = load(cache_folder(), fetchers=[])
    assert np.bincount(data.train_labels).tolist() == [6000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
