import gzip
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training import data as sources
from genservice.training import letters
from genservice.training.cache import cache_folder
from genservice.training.letters import load

WORDS = ["ommanding", "tr", "a"]
FOLDS = [0, 1, 9]


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (count, 128), dtype=np.uint8)


def arrays(**changed: np.ndarray) -> dict[str, np.ndarray]:
    text = "".join(WORDS)
    return {
        "pixels": np.packbits(pixels(len(text)), axis=1),
        "letters": np.array([ord(letter) - ord("a") for letter in text], np.uint8),
        "offsets": np.cumsum([0, *map(len, WORDS)], dtype=np.int32),
        "folds": np.array(FOLDS, np.uint8),
        **changed,
    }


def save(cache: Path, **changed: np.ndarray) -> None:
    (cache / "letters").mkdir(parents=True, exist_ok=True)
    np.savez(cache / "letters" / "letters.npz", **arrays(**changed))


def original_lines() -> list[str]:
    ink = iter(pixels(len("".join(WORDS))))
    lines = []
    for number, (word, fold) in enumerate(zip(WORDS, FOLDS, strict=True), 1):
        for place, letter in enumerate(word):
            following = -1 if place == len(word) - 1 else len(lines) + 2
            fields = [len(lines) + 1, letter, following, number, place + 1, fold, *next(ink)]
            lines.append("\t".join(map(str, fields)) + "\t")
    return lines


def save_original(cache: Path, lines: list[str]) -> None:
    (cache / "letters").mkdir(parents=True, exist_ok=True)
    (cache / "letters" / "letter.data.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def test_the_source_is_registered_by_its_name() -> None:
    assert sources.genservice_register_data_sources()["letters"] is letters.load


def test_a_row_is_a_word_and_fold_0_is_held_out(tmp_path: Path) -> None:
    save(tmp_path)
    data = load(tmp_path)
    assert data.train_inputs.dtype == data.train_labels.dtype == object
    assert [row.shape for row in data.train_inputs] == [(2, 16, 8), (1, 16, 8)]
    assert [row.dtype for row in data.train_inputs] == [np.float32] * 2
    assert data.test_labels[0].dtype == np.int64
    assert "".join(data.labels[letter] for letter in data.test_labels[0]) == "ommanding"
    np.testing.assert_array_equal(data.test_inputs[0].reshape(9, 128), pixels(12)[:9])


def test_the_original_is_read_as_the_arrays_are(tmp_path: Path) -> None:
    save(tmp_path / "arrays")
    save_original(tmp_path / "original", original_lines())
    ours, theirs = load(tmp_path / "arrays"), load(tmp_path / "original")
    for part in ("train_inputs", "train_labels", "test_inputs", "test_labels"):
        for left, right in zip(getattr(ours, part), getattr(theirs, part), strict=True):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype


def test_where_there_is_no_file_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Put letter\.data\.gz of .*Taskar.* into .*letters"):
        load(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"pixels": np.zeros((11, 16), np.uint8)}, "128 black or white pixels for each of its 12 letters"),
        ({"offsets": np.array([0, 9, 11, 13])}, "words do not fit"),
        ({"offsets": np.array([0, 11, 9, 12])}, "words do not fit"),
        ({"letters": np.full(12, 26)}, "out of range"),
        ({"folds": np.array([0, 1, 10])}, "out of range"),
        ({"folds": np.array([0, 0, 0])}, "no word of fold 0, or none of another"),
        ({"folds": np.array([1, 2, 3])}, "no word of fold 0, or none of another"),
        ({"pixels": np.zeros(12, np.uint8)}, "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path, changed: dict, reason: str) -> None:
    save(tmp_path, **changed)
    with pytest.raises(DataError, match=reason):
        load(tmp_path)


def test_arrays_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    save(tmp_path)
    path = tmp_path / "letters" / "letters.npz"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"<html>"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            load(tmp_path)
    np.savez(path, pixels=np.zeros((1, 16), np.uint8))
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1\tO\t2", "no letter in line 2"),
        ("1", "no letter in line 2"),
        ("2\to\t3\t1\t2\tfold", "no letter in line 2"),
        ("2\to\t3\t1\t2\t0\t0\t1", "2 pixels in line 2, not 128"),
        ("2\to\t3\t1\t2\t0\t" + "x\t" * 128, "no letter in line 2"),
        ("2\to\t3\t1\t2\t0\t" + "2\t" * 128, "black or white"),
    ],
)
def test_a_line_of_the_original_that_is_no_letter_is_named(tmp_path: Path, line: str, reason: str) -> None:
    lines = original_lines()
    lines[1] = line
    save_original(tmp_path, lines)
    with pytest.raises(DataError, match=reason):
        load(tmp_path)


def test_an_original_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    save_original(tmp_path, original_lines()[:10])
    with pytest.raises(DataError, match="ends within a word"):
        load(tmp_path)
    path = tmp_path / "letters" / "letter.data.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)


def test_the_real_data_has_the_known_numbers_of_words() -> None:
    try:
        data = load(cache_folder())
    except DataError as missing:
        pytest.skip(missing.message)
    assert len(data.train_inputs) == 6251
    assert len(data.test_inputs) == 626
    assert sum(map(len, data.train_labels)) + sum(map(len, data.test_labels)) == 52_152
    assert "".join(data.labels[letter] for letter in data.train_labels[0]) == "ommanding"
