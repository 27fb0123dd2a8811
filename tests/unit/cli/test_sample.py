from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_a_png_has_all_samples_in_a_grid_that_is_near_square(run, server: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.png"
    done = run("sample", "toy-gan", 10, "--seed", 7, "--out", out, "--server", server)
    assert done.exit_code == 0, done.output
    assert "10 samples of models/toy-gan/versions/1, seed 7, " in done.stdout
    with Image.open(out) as picture:
        assert picture.size == (4 * (6 + 2) + 2, 3 * (8 + 2) + 2)


def test_arrays_hold_what_is_needed_to_draw_them_again(run, server: str, tmp_path: Path) -> None:
    arguments = ("--out", tmp_path / "a.npz", "--first-index", 5, "--option", "label=scarf", "--server", server)
    assert run("sample", "toy-gan@1", 4, *arguments).exit_code == 0
    with np.load(tmp_path / "a.npz") as file:
        samples, seed = file["samples"], int(file["seed"])
        assert samples.shape == (4, 8, 6, 1)
        assert file["indexes"].tolist() == [5, 6, 7, 8]
        assert str(file["model"]) == "models/toy-gan/versions/1"
    again = ("--out", tmp_path / "b.npz", "--seed", seed, "-o", "label=scarf", "--server", server)
    assert run("sample", "toy-gan:stable", 9, *again).exit_code == 0
    with np.load(tmp_path / "b.npz") as file:
        np.testing.assert_array_equal(file["samples"][5:], samples)


def test_a_folder_gets_a_picture_each_named_by_its_index(run, server: str, tmp_path: Path) -> None:
    done = run("sample", "toy-gan", 3, "--first-index", 98, "--out", tmp_path / "all", "--server", server)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["000098.png", "000099.png", "000100.png"]
    with Image.open(tmp_path / "all" / "000098.png") as picture:
        assert picture.size == (6, 8)


def test_options_reach_the_model(run, server: str, tmp_path: Path) -> None:
    options = ("-o", "label=1", "-o", "noise=0")
    run("sample", "toy-gan", 2, *options, "--out", tmp_path / "a.npz", "--server", server)
    with np.load(tmp_path / "a.npz") as file:
        assert (file["samples"][:, :, 0, 0] > 0).sum(axis=1).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy-gna", "1"], "Did you mean 'toy-gan'"),
        (["toy/gan", "1"], "is no name of a model"),
        (["toy-gan", "1", "-o", "label=scraf"], "Did you mean 'scarf'"),
        (["toy-gan", "1", "-o", "noise=2"], "options.noise"),
        (["toy-cnn", "1"], "cannot sample"),
        (["toy-gan", "10001"], "one picture holds 10000"),
    ],
)
def test_a_refusal_is_one_line(run, server: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("sample", *arguments, "--out", tmp_path / "x.png", "--server", server)
    assert done.exit_code == 1
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(error) == 1
    assert message in error[0]
    assert not (tmp_path / "x.png").exists()


def test_a_place_that_cannot_be_written_is_named(run, server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("sample", "toy-gan", 1, "--out", tmp_path / "file" / "x.png", "--server", server)
    assert done.exit_code == 1
    assert "x.png cannot be written" in done.stderr


def test_a_filter_keeps_what_a_classifier_takes_for_a_label(run, server: str, tmp_path: Path) -> None:
    keep = ("--keep-by", "toy-cnn", "--keep-label", "glove", "--keep-probability", 0.9)
    done = run("sample", "toy-gan", 4, "--seed", 1, *keep, "--out", tmp_path / "a.npz", "--server", server)
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "a.npz") as file:
        indexes, samples = file["indexes"], file["samples"]
    assert len(indexes) == 4
    assert f"4 samples of {indexes[-1] + 1} drawn of models/toy-gan/versions/1" in done.stdout
    # Gloves have two lines.
    assert (samples[:, :, 0, 0] > 0).sum(axis=1).tolist() == [2] * 4


def test_draws_that_do_not_suffice_leave_what_was_found_and_fail(run, server: str, tmp_path: Path) -> None:
    keep = ("--keep-by", "toy-cnn", "--keep-label", "glove", "--max-draws", 20)
    done = run("sample", "toy-gan", 20, "--seed", 1, *keep, "--out", tmp_path / "a.npz", "--server", server)
    assert done.exit_code == 1
    with np.load(tmp_path / "a.npz") as file:
        found = len(file["indexes"])
    assert 0 < found < 20
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert f"{found} of 20 samples passed the filter in 20 draws" in error[0]
    assert error[0].endswith("a.npz.")


def test_where_nothing_passes_nothing_is_written(run, server: str, tmp_path: Path) -> None:
    keep = ("-o", "label=hat", "--keep-by", "toy-cnn", "--keep-label", "glove", "--max-draws", 8)
    done = run("sample", "toy-gan", 1, *keep, "--out", tmp_path / "a.png", "--server", server)
    assert done.exit_code == 1
    assert "0 of 1 samples passed" in done.stderr
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-label", "hat"], "go together"),
        (["--keep-by", "toy-cnn"], "go together"),
        (["--max-draws", "5"], "go with --keep-label"),
        (["--keep-label", "hat", "--keep-by", "a/b"], "no name of a model"),
    ],
)
def test_half_a_filter_is_wrong_usage(run, server: str, arguments: list[str], message: str) -> None:
    done = run("sample", "toy-gan", "4", *arguments, "--server", server)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-label", "glvoe", "--keep-by", "toy-cnn"], "Did you mean 'glove'"),
        (["--keep-label", "glove", "--keep-by", "toy-cn"], "toy-cnn"),
        (["--keep-label", "glove", "--keep-by", "toy-cnn", "--max-draws", "2"], "max_draws is 2"),
    ],
)
def test_a_filter_that_is_refused_is_one_line(
    run, server: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run("sample", "toy-gan", "4", *arguments, "--out", tmp_path / "x.png", "--server", server)
    assert done.exit_code == 1
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(error) == 1
    assert message in error[0]
