import shutil
from pathlib import Path

import pytest

from genservice.store.files import PARTIAL
from genservice.store.store import ModelStore


def copied(root: Path) -> list[str]:
    store = ModelStore([root])
    return [f"{model} {version}" for model in store.models() for version in store.versions(model)]


def test_every_model_is_copied_with_its_number_and_its_labels(run, toy_store, tmp_path) -> None:
    done = run("copy-models", str(tmp_path), "--store", str(toy_store))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "models/toy-cnn/versions/1 was copied",
        "models/toy-gan/versions/1 was copied",
    ]
    store, source = ModelStore([tmp_path]), ModelStore([toy_store])
    for model in ("toy-cnn", "toy-gan"):
        store.verify(model, 1)
        assert store.content_hash(model, 1) == source.content_hash(model, 1)
    assert store.labels("toy-gan") == {"stable": 1}


def test_only_the_models_that_are_named_are_copied(run, toy_store, tmp_path) -> None:
    assert run("copy-models", str(tmp_path), "toy-gan", "--store", str(toy_store)).exit_code == 0
    assert copied(tmp_path) == ["toy-gan 1"]


def test_what_is_there_already_stays(run, toy_store, tmp_path) -> None:
    run("copy-models", str(tmp_path), "--store", str(toy_store))
    before = (tmp_path / "toy-gan/1/patterns.npy").stat().st_ino
    done = run("copy-models", str(tmp_path), "--store", str(toy_store))
    assert "models/toy-gan/versions/1 is there" in done.stdout
    assert (tmp_path / "toy-gan/1/patterns.npy").stat().st_ino == before


def test_what_a_copy_left_that_was_cut_off_is_removed(run, toy_store, tmp_path) -> None:
    draft = tmp_path / "toy-gan" / f".1.0123456789abcdef{PARTIAL}"
    draft.mkdir(parents=True)
    (draft / "patterns.npy").write_bytes(b"half")
    assert run("copy-models", str(tmp_path), "--store", str(toy_store)).exit_code == 0
    assert not draft.exists()
    assert copied(tmp_path) == ["toy-cnn 1", "toy-gan 1"]


@pytest.mark.parametrize("damaged_one", ["source", "target"])
def test_a_damaged_version_is_refused_with_its_file(run, toy_store, tmp_path, damaged_one) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(toy_store, source)
    if damaged_one == "target":
        run("copy-models", str(target), "--store", str(source))
    weights = tmp_path / damaged_one / "toy-gan/1/patterns.npy"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    done = run("copy-models", str(target), "--store", str(source))
    assert done.exit_code == 1
    assert "patterns.npy has another SHA-256" in done.stderr
    assert done.stderr.count("\n") == 1
    if damaged_one == "source":
        assert copied(target) == ["toy-cnn 1"]


def test_another_version_of_that_number_is_not_replaced(run, toy_store, tmp_path) -> None:
    shutil.copytree(toy_store / "toy-cnn", tmp_path / "toy-gan")
    done = run("copy-models", str(tmp_path), "toy-gan", "--store", str(toy_store))
    assert done.exit_code == 1
    assert "is another version than" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["toy-gann"], "Did you mean 'toy-gan'?"), (["--store", "/no/such/folder"], "/no/such/folder is not a folder")],
)
def test_what_does_not_exist_is_one_line(run, toy_store, tmp_path, arguments, message) -> None:
    done = run("copy-models", str(tmp_path), *arguments, "--store", str(toy_store))
    assert done.exit_code != 0
    assert message in done.stderr


def test_why_it_failed_is_told_to_kubernetes(run, toy_store, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr("genservice.cli.failures.TERMINATION_LOG", log)
    run("copy-models", str(tmp_path), "toy-gann", "--store", str(toy_store))
    assert log.read_text() == "There is no model 'toy-gann'. Did you mean 'toy-gan'?\n"
