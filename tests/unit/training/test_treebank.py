import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training import data as sources
from genservice.training import treebank
from genservice.training.cache import cache_folder
from genservice.training.treebank import FILES, TAGS, load, read_conllu


def line(number: object, form: str, tag: str) -> str:
    return f"{number}\t{form}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n"


def sentences(name: str, count: int = 20) -> str:
    return "".join(
        f"# sent_id = {number}\n{line(1, f'{name}{number}', 'NOUN')}{line(2, '.', 'PUNCT')}\n"
        for number in range(count)
    )


def fill(folder: Path, *, count: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(sentences(name, count), encoding="utf-8")


def failing(message: str) -> Callable[[Path], None]:
    def fetch(folder: Path) -> None:
        (folder / FILES[0]).write_bytes(b"half")
        raise DataError(message)

    return fetch


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be fetched")


def test_the_source_is_registered_by_its_name() -> None:
    assert sources.genservice_register_data_sources()["turkish-pos"] is treebank.load


def test_a_row_is_a_sentence_and_of_each_file_the_same_part_is_held_out(tmp_path: Path) -> None:
    fill(tmp_path / "turkish-pos")
    data = load(tmp_path, fetchers=[never])
    assert data.train_inputs.dtype == data.train_labels.dtype == object
    assert len(data.train_inputs) == 34
    held_out = [words[0] for words in data.test_inputs]
    assert [sum(name in word for word in held_out) for name in FILES] == [3, 3]
    assert not {words[0] for words in data.train_inputs} & set(held_out)
    assert [[data.labels[tag] for tag in tags] for tags in data.test_labels] == [["NOUN", "PUNCT"]] * 6
    assert data.test_labels[0].dtype == np.int64
    assert held_out == [words[0] for words in load(tmp_path, fetchers=[never]).test_inputs]


def test_ranges_and_empty_nodes_are_no_words(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(
        line(1, "Ev", "NOUN")
        + line("2-3", "yoksa", "_")
        + line(2, "yok", "VERB")
        + line(3, "sa", "AFFIX")
        + line("3.1", "ise", "VERB")
        + line(4, ".", "PUNCT"),
        encoding="utf-8",
    )
    assert read_conllu(path) == [
        (["Ev", "yok", "sa", "."], [TAGS.index(t) for t in ("NOUN", "VERB", "AFFIX", "PUNCT")])
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line(1, "a", "NOUN") + line(3, "b", "NOUN"), "line 2 is not word 2"),
        (line(2, "a", "NOUN"), "line 1 is not word 1"),
        ("# a comment\n" + line(1, "a", "noun"), "line 2 is not word 1 with one of 14 tags"),
        (line(1, "", "NOUN"), "line 1 is not word 1"),
        ("1\ta\tNOUN\n", "3 fields in line 1, not 10"),
    ],
)
def test_a_line_that_is_no_word_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_conllu(path)


def test_files_that_are_missing_or_damaged_or_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"web\.conllu cannot be read"):
        treebank.read(tmp_path)
    fill(tmp_path, count=2)
    with pytest.raises(DataError, match="2 sentences, too few"):
        treebank.read(tmp_path)
    fill(tmp_path)
    (tmp_path / FILES[1]).write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"wiki\.conllu cannot be read"):
        treebank.read(tmp_path)


def test_a_failure_says_why_and_what_to_do_and_leaves_nothing_behind(tmp_path: Path) -> None:
    message = (
        r"pip: nothing.*Put web\.conllu and wiki\.conllu of turkish-treebanks==1\.0\.0 from PyPI into .*turkish-pos"
    )
    with pytest.raises(DataError, match=message):
        load(tmp_path, fetchers=[failing("pip: nothing")])
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_taken_out_of_what_pip_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(command: list[str], *, cwd: str, **_: object) -> None:
        asked.append(command)
        with zipfile.ZipFile(Path(cwd) / "turkish_treebanks-1.0.0-py3-none-any.whl", "w") as wheel:
            for name in FILES:
                wheel.writestr(f"data/{name}", sentences(name))
            wheel.writestr("turkish_treebanks/read.py", "")

    monkeypatch.setattr(subprocess, "run", download)
    assert len(load(tmp_path).train_inputs) == 34
    assert sorted(path.name for path in (tmp_path / "turkish-pos").iterdir()) == sorted(FILES)
    assert asked[0][-1] == "turkish-treebanks==1.0.0"


def test_the_real_data_has_the_known_numbers_of_words() -> None:
    try:
        data = load(cache_folder(), fetchers=[])
    except DataError as missing:
        pytest.skip(missing.message)
    assert len(data.train_inputs) == 4124
    assert len(data.test_inputs) == 727
    assert sum(map(len, data.train_inputs)) == 68_936
    assert sum(map(len, data.test_inputs)) == 12_434
    assert max(map(len, data.train_inputs)) == 88
    assert {int(tag) for tags in data.train_labels for tag in tags} == set(range(14))
