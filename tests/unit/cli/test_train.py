import json
import subprocess
import sys
from pathlib import Path

import pytest

from genservice.cli.train import this_command
from genservice.store.store import ModelStore

DATA = ("--data", "toy-clothes")
SERVING = ("--serving", "max_batch_rows=16", "--serving", "batch_sizes=[4,16]")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENSERVICE_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_train_publishes_a_version_with_its_card(run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = ("--model", "mine", "--store", store, "--set", "steps=3", *SERVING)
    done = run("train", "toy-garments", *DATA, *arguments, "--summary", "Toys.", "--limits", "Toys.")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"models/mine/versions/1 is in {store}\n"
    manifest = ModelStore([store]).verify("mine", 1)
    assert manifest.config == {"steps": 3}
    assert manifest.serving.max_batch_rows == 16
    assert manifest.serving.batch_sizes == (4, 16)
    assert manifest.card.summary == manifest.card.limits == "Toys."
    assert manifest.card.licence == "CC0-1.0"


def test_the_card_names_the_command_as_it_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/genservice", "train", "gan", "--summary", "two words"])
    assert this_command() == "genservice train gan --summary 'two words'"


@pytest.mark.parametrize(
    ("family", "arguments", "code", "message"),
    [
        ("toy-garment", DATA, 1, "Did you mean 'toy-garments'"),
        ("toy-garments", ("--data", "toy-cloths"), 1, "Did you mean 'toy-clothes'"),
        ("toy-judge", DATA, 1, "'toy-judge' cannot be trained here"),
        ("toy-garments", (*DATA, "--serving", "max_batch=1"), 2, "--serving max_batch: Extra inputs"),
    ],
)
def test_what_cannot_be_trained_says_why(
    run, tmp_path: Path, family: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = run("train", family, *arguments, "--model", "mine", "--store", tmp_path / "store")
    assert done.exit_code == code
    assert message in done.stderr


def evaluate(run, store: Path, *arguments: object):
    shared = ("--store", store, *DATA, "--samples", 300)
    return run("evaluate", *shared, *arguments)


def test_evaluate_measures_a_generator_and_writes_the_figures(run, toy_store: Path, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "out.json", "--card", tmp_path / "card.md")
    done = evaluate(run, toy_store, "toy-gan", "--judge", "toy-cnn", *files, "--fail-under", "agreement=0.9")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["model"] == "models/toy-gan/versions/1"
    assert figures["agreement"] == 1
    assert "| agreement | 1.0 |" in (tmp_path / "card.md").read_text()
    assert "frechet_ratio" in done.stdout


def test_evaluate_measures_a_classifier_on_held_out_rows(run, toy_store: Path, tmp_path: Path) -> None:
    done = evaluate(run, toy_store, "toy-cnn@1", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["accuracy"], figures["rows"]) == (1, 90)


def test_a_figure_that_is_too_small_fails_and_nothing_is_published(run, toy_store: Path, tmp_path: Path) -> None:
    done = evaluate(run, toy_store, "toy-cnn", "--fail-under", "accuracy=1.1", "--publish", tmp_path / "shipped")
    assert done.exit_code == 1
    assert "accuracy is 1, and must be 1.1 at least" in done.stderr
    assert not (tmp_path / "shipped").exists()


def test_publish_makes_a_version_with_the_figures_on_its_card(run, toy_store: Path, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    done = evaluate(run, toy_store, "toy-gan:stable", "--judge", "toy-cnn", "--publish", shipped)
    assert done.exit_code == 0, done.output
    card = ModelStore([shipped]).verify("toy-gan", 1).card
    assert card.metrics["agreement"] == 1
    assert card.metrics["judge"] == "models/toy-cnn/versions/1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("toy-gan",), 2, "name the classifier that judges it with --judge"),
        (("toy-gna",), 1, "Did you mean 'toy-gan'"),
        (("toy-gan:best",), 1, "There is no label 'best'"),
        (("toy-cnn", "--fail-under", "acuracy=1"), 2, "Did you mean 'accuracy'"),
        (("toy-cnn", "--fail-under", "accuracy"), 2, "name=number"),
    ],
)
def test_what_cannot_be_measured_says_why(
    run, toy_store: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = evaluate(run, toy_store, *arguments)
    assert done.exit_code == code, done.output
    assert message in done.stderr


def test_the_trained_command_is_real_in_a_process_of_its_own(tmp_path: Path, toys: Path) -> None:
    command = ["train", "toy-garments", *DATA, "--model", "mine", "--store", str(tmp_path / "store")]
    environment = {"PYTHONPATH": str(toys), "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "genservice", *command], env=environment, check=True, capture_output=True)
    card = ModelStore([tmp_path / "store"]).manifest("mine", 1).card
    assert card.trained_by == f"genservice {' '.join(command)}"
