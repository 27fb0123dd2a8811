"""Commands that compare, find, tag, score, embed and predict."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genservice_client import Gallery

VERSION = "models/toy-faces/versions/1"


@pytest.fixture
def grey(tmp_path: Path):
    """Writes a picture of one grey, from 0 to 255."""

    def write(name: str, value: int, size: tuple[int, int] = (3, 4)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, value).save(path)
        return path

    return write


@pytest.fixture
def people(grey, tmp_path: Path) -> Path:
    for name, value in (("Ann", 20), ("Bob", 200)):
        for place in range(2):
            grey(f"people/{name}/{place}.png", value + place)
    (tmp_path / "people" / "notes.txt").write_text("no folder")
    return tmp_path / "people"


def test_two_pictures_are_compared(run, verb_server: str, grey) -> None:
    first, second = grey("first.png", 20), grey("second.webp", 200)
    done = run("compare", "toy-faces", first, second, "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    (row,) = answer["rows"]
    assert (answer["model"], answer["threshold"], row["same"]) == (VERSION, 0.25, False)
    assert (row["input"], row["other"]) == (str(first), str(second))
    assert row["distance"] == pytest.approx(360 / 255, abs=0.05)
    table = run("compare", "toy-faces", first, first, "--server", verb_server).stdout
    assert "same" in table
    assert "different" not in table
    assert "below 0.250" in table


def test_one_row_is_compared_with_all_of_a_file(run, verb_server: str, grey, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.linspace(-1, 1, 3, dtype=np.float32).repeat(12).reshape(3, 4, 3, 1))
    done = run("compare", "toy-faces", grey("black.png", 0), tmp_path / "rows.npy", "--json", "--server", verb_server)
    assert [row["same"] for row in json.loads(done.stdout)["rows"]] == [True, False, False]
    np.save(tmp_path / "two.npy", np.zeros((2, 4, 3, 1), np.float32))
    done = run("compare", "toy-faces", tmp_path / "two.npy", tmp_path / "rows.npy", "--server", verb_server)
    assert done.exit_code == 1
    assert "inputs has 2 rows and others 3" in done.stderr


def test_who_is_on_a_picture_is_told_by_the_folders_of_a_gallery(run, verb_server: str, grey, people: Path) -> None:
    pictures = (grey("who.png", 22), grey("nobody.png", 110))
    done = run("identify", "toy-faces", *pictures, "--gallery", people, "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    assert [row["name"] for row in json.loads(done.stdout)["rows"]] == ["Ann", None]
    table = run("identify", "toy-faces", *pictures, "--gallery", people, "--server", verb_server).stdout
    assert "Ann" in table
    assert "nobody known" in table


def test_a_gallery_is_saved_and_used_again(run, verb_server: str, grey, people: Path, tmp_path: Path) -> None:
    saved, who = tmp_path / "people.npz", grey("who.png", 199)
    done = run("identify", "toy-faces", who, "--gallery", people, "--save", saved, "--server", verb_server)
    assert done.exit_code == 0, done.output
    gallery = Gallery.load(saved)
    assert (gallery.names, gallery.model) == (("Ann", "Ann", "Bob", "Bob"), VERSION)
    done = run("identify", "toy-faces", who, "--gallery", saved, "--json", "--server", verb_server)
    assert json.loads(done.stdout)["rows"][0]["name"] == "Bob"
    gallery.content_hash = "another"
    gallery.save(saved)
    done = run("identify", "toy-faces", who, "--gallery", saved, "--server", verb_server)
    assert done.exit_code == 1
    assert "enrol again" in done.stderr


def test_what_is_no_gallery_is_one_line(run, verb_server: str, grey, tmp_path: Path) -> None:
    who = grey("who.png", 199)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare" / "Ann").mkdir(parents=True)
    for source, message in (("empty", "has no folders"), ("bare", "Ann has no pictures"), ("who.png", "no gallery")):
        done = run("identify", "toy-faces", who, "--gallery", tmp_path / source, "--server", verb_server)
        assert done.exit_code == 1
        error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(error) == 1
        assert message in error[0]


def test_neighbours_are_listed_the_nearest_first(run, verb_server: str, grey) -> None:
    picture = grey("white.png", 255)
    done = run("neighbours", "toy-faces", picture, "-k", 2, "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    ((first, second),) = [row["neighbours"] for row in json.loads(done.stdout)["rows"]]
    assert (first["index"], second["index"]) == (10, 9)
    assert (first["distance"], second["distance"]) == (pytest.approx(0, abs=1e-6), pytest.approx(0.2, abs=1e-6))
    table = run("neighbours", "toy-faces", picture, "-k", 1, "--server", verb_server).stdout
    assert "10 (0.000)" in table
    done = run("neighbours", "toy-faces", picture, "-k", 12, "--server", verb_server)
    assert done.exit_code == 1
    assert "11" in done.stderr


def test_words_are_tagged(run, verb_server: str) -> None:
    done = run("tag", "toy-tags", "a  magnificent dog", "Yağmur", "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [[position["token"] for position in row] for row in rows] == [["a", "magnificent", "dog"], ["Yağmur"]]
    assert [position["label"] for position in rows[0]] == ["short", "long", "short"]
    assert rows[0][1]["probability"] == pytest.approx(0.55)
    table = run("tag", "toy-tags", "a [b]", "--server", verb_server).stdout
    assert "[b]" in table
    assert "95.0%" in table


def test_arrays_are_tagged(run, verb_server: str, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.array([[1, 1], [-1, -1]], np.float32))
    np.savez(tmp_path / "two.npz", a=np.ones((1, 2), np.float32), b=-np.ones((3, 2), np.float32))
    done = run("tag", "toy-letters", tmp_path / "one.npy", tmp_path / "two.npz", "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    labels = [[position["label"] for position in row] for row in json.loads(done.stdout)["rows"]]
    assert labels == [["light", "dark"], ["light"], ["dark"] * 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy-tags", " "], "has no words"),
        (["toy-tags", "a b c d e f"], "takes 5 at most"),
        (["toy-tags", "nowhere.npz"], "nowhere.npz cannot be read"),
        (["toy-letters", "a word"], "sequences[0]"),
        (["toy-faces", "a word"], "cannot tag"),
    ],
)
def test_what_cannot_be_tagged_is_one_line(run, verb_server: str, arguments: list[str], message: str) -> None:
    done = run("tag", *arguments, "--server", verb_server)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_pictures_are_scored(run, verb_server: str, grey) -> None:
    done = run("score", "toy-faces", grey("white.png", 255), "--json", "--server", verb_server)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["rows"][0]["log_prob"]) == ("EXACT", pytest.approx(-12))
    table = run("score", "toy-faces", grey("white.png", 255), "--server", verb_server).stdout
    assert "log p(x), exact" in table
    assert "-12.000" in table


def test_embeddings_go_to_a_file(run, verb_server: str, grey, tmp_path: Path) -> None:
    pictures = [grey(f"{value}.png", value) for value in (0, 255)]
    done = run("embed", "toy-faces", *pictures, "--out", tmp_path / "new" / "e.npz", "--server", verb_server)
    assert done.exit_code == 0, done.output
    assert "2 embeddings of 1 dimensions" in done.stdout
    with np.load(tmp_path / "new" / "e.npz") as content:
        assert content["embeddings"].tolist() == [[-1], [1]]
        assert content["inputs"].tolist() == list(map(str, pictures))
        assert str(content["model"]) == VERSION


def test_signatures_are_called(run, verb_server: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", a=np.arange(16, dtype=np.float32).reshape(2, 8), b=np.ones(2, np.float32))
    out = tmp_path / "out.npz"
    done = run("predict", "toy-sums", tmp_path / "in.npz", "--out", out, "--server", verb_server)
    assert done.exit_code == 0, done.output
    assert "float32 [2, 8]" in done.stdout
    assert "1 2 3 4 5 6 …" in done.stdout
    with np.load(out) as content:
        assert content["sum"][1].tolist() == list(range(9, 17))
    np.savez(tmp_path / "a.npz", a=np.ones((1, 8), np.float32))
    done = run("predict", "toy-sums", tmp_path / "a.npz", "--signature", "negate", "--server", verb_server)
    assert "negative" in done.stdout


@pytest.mark.parametrize("form", ["grey.png", "rows.npy"])
def test_a_model_that_only_predicts_is_not_given_inputs(run, verb_server: str, grey, tmp_path: Path, form: str) -> None:
    grey("grey.png", 1)
    np.save(tmp_path / "rows.npy", np.zeros((1, 8), np.float32))
    done = run("classify", "toy-sums", tmp_path / form, "--server", verb_server)
    assert done.exit_code == 1
    assert done.stderr.strip().endswith(
        "models/toy-sums/versions/1 takes no rows of an event: call its signatures with `genservice predict`."
    )


def test_what_cannot_be_predicted_is_one_line(run, verb_server: str, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(2))
    np.savez(tmp_path / "rows.npz", a=np.zeros((1, 8), np.float32), b=np.zeros(2, np.float32))
    np.savez(tmp_path / "a.npz", a=np.zeros((1, 8), np.float32))
    (tmp_path / "text.npz").write_text("no archive")
    for file, more, message in (
        ("one.npy", (), "has one array"),
        ("rows.npz", (), "differ in their rows"),
        ("text.npz", (), "cannot be read"),
        ("a.npz", ("--signature", "negat"), "Did you mean 'negate'"),
    ):
        done = run("predict", "toy-sums", tmp_path / file, *more, "--server", verb_server)
        assert done.exit_code == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named(run, verb_server: str, grey, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("embed", "toy-faces", grey("a.png", 1), "--out", tmp_path / "file" / "x.npz", "--server", verb_server)
    assert done.exit_code == 1
    assert "x.npz cannot be written" in done.stderr


def test_image_files_are_decoded_by_the_server(run, verb_server: str, grey, tmp_path: Path) -> None:
    # Only the server refuses an alpha channel: here a picture would have lost it.
    path = tmp_path / "alpha.png"
    Image.new("LA", (3, 4)).save(path)
    done = run("score", "toy-faces", path, "--server", verb_server)
    assert done.exit_code == 1
    assert "alpha channel" in done.stderr
    assert run("score", "toy-faces", path, "--invert", "--server", verb_server).exit_code == 0


def test_pictures_that_the_server_does_not_know_and_arrays_are_decoded_here(
    run, verb_server: str, grey, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((1, 4, 3, 1), np.float32))
    for files in ([grey("a.bmp", 255)], [grey("b.png", 255), tmp_path / "rows.npy"]):
        done = run("score", "toy-faces", *files, "--json", "--server", verb_server)
        assert json.loads(done.stdout)["rows"][0]["log_prob"] == pytest.approx(-12)


def test_pictures_of_another_size_and_damaged_ones_are_named(run, verb_server: str, grey, tmp_path: Path) -> None:
    path = grey("large.png", 1, (30, 40))
    done = run("score", "toy-faces", path, "--server", verb_server)
    assert "large.png has 30 by 40 pixels, and the model takes 3 by 4: scale it, or give --resize." in done.stderr
    assert run("score", "toy-faces", path, "--resize", "--server", verb_server).exit_code == 0
    file = io.BytesIO()
    Image.new("L", (3, 4)).save(file, "PNG")
    for length in (20, 44):
        (tmp_path / "cut.png").write_bytes(file.getvalue()[:length])
        done = run("score", "toy-faces", tmp_path / "cut.png", "--server", verb_server)
        assert done.exit_code == 1
        assert "cut.png cannot be read" in done.stderr
        assert done.stderr.count("\n") == 1
