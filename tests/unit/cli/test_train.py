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


def test_the_trained_command_is_real_in_a_process_of_its_own(tmp_path: Path, toys: Path) -> None:
    command = ["train", "toy-garments", *DATA, "--model", "mine", "--store", str(tmp_path / "store")]
    environment = {"PYTHONPATH": str(toys), "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "genservice", *command], env=environment, check=True, capture_output=True)
    card = ModelStore([tmp_path / "store"]).manifest("mine", 1).card
    assert card.trained_by == f"genservice {' '.join(command)}"
