from pathlib import Path

import numpy as np
import pytest

from genservice.store.store import ModelStore
from genservice.testing import Harness


@pytest.fixture
def weights(toys: Path, tmp_path: Path) -> Path:
    from genservice_toys import patterns

    path = tmp_path / "patterns.npy"
    np.save(path, patterns())
    return path


@pytest.fixture
def publish(run, tmp_path: Path):
    """Runs `genservice publish`, into the store that it also gives."""
    store = tmp_path / "store"
    return store, lambda *arguments: run("publish", *arguments, "--model", "mine", "--store", store)


def test_a_file_becomes_a_version_that_is_served(publish, weights: Path, tmp_path: Path) -> None:
    store, run = publish
    config = tmp_path / "mine.toml"
    config.write_text('names = ["a", "b"]\n[nested]\nscale = 0.5\n')
    card = ("--summary", "Mine.", "--licence", "CC0-1.0", "--limits", "Few.", "--trained-on", "toys (me)")
    done = run("toy-judge", weights, "--config", config, *card, "--serving", "max_batch_rows=8")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"models/mine/versions/1 is in {store}\n"
    manifest = ModelStore([store]).verify("mine", 1)
    assert (manifest.family, manifest.plugin, manifest.plugin_version) == ("toy-judge", "genservice-toys", "1.0")
    assert manifest.config == {"names": ["a", "b"], "nested": {"scale": 0.5}}
    assert manifest.serving.max_batch_rows == 8
    assert list(manifest.files) == ["patterns.npy"]
    assert manifest.card.model_dump(exclude_defaults=True) == {
        "summary": "Mine.", "licence": "CC0-1.0", "limits": "Few.", "data": "toys (me)",
    }  # fmt: skip
    from genservice_toys import Judge

    with Harness([Judge], store) as harness:
        assert harness.call("mine", "classify", np.load(weights).astype(np.float32)).argmax(axis=1).tolist() == [
            0,
            1,
            2,
        ]


def test_a_folder_is_copied_under_its_own_name(publish, tmp_path: Path) -> None:
    store, run = publish
    folder = tmp_path / "saved"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    assert run("toy-judge", folder).exit_code == 0
    assert run("toy-judge", f"{folder}/.").exit_code == 0
    for version in (1, 2):
        files = ModelStore([store]).verify("mine", version).files
        assert sorted(files) == ["saved/saved_model.pb", "saved/variables/variables.index"]


def test_a_family_that_needs_no_files_needs_no_path(publish) -> None:
    store, run = publish
    done = run("toy-judge")
    assert done.exit_code == 0, done.output
    assert ModelStore([store]).verify("mine", 1).files == {}


def test_what_a_version_cannot_hold_is_refused_and_leaves_nothing(publish, weights: Path, tmp_path: Path) -> None:
    store, run = publish
    empty, linked, named = tmp_path / "empty", tmp_path / "linked", tmp_path / "model.toml"
    empty.mkdir()
    linked.mkdir()
    (linked / "out").symlink_to(weights)
    named.write_text("")
    cases = {empty: "no folder that has a file in it", linked: "has no links", named: "written by the store"}
    for path, message in cases.items():
        done = run("toy-judge", path)
        assert done.exit_code == 1, done.output
        assert message in done.stderr
        assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert ModelStore([store]).models() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("toy-jugde", "patterns.npy"), 1, "Did you mean 'toy-judge'"),
        (("toy-judge", "pattern.npy"), 2, "'pattern.npy' does not exist"),
        (("toy-judge", "patterns.npy", "--config", "none.toml"), 2, "none.toml cannot be read"),
        (("toy-judge", "patterns.npy", "--config", "patterns.npy"), 2, "patterns.npy is not TOML"),
        (("toy-judge", "patterns.npy", "--serving", "max_batch=1"), 2, "--serving max_batch: Extra inputs"),
        (("cnn", "patterns.npy"), 2, "the family 'cnn' does not take the config: it lacks 'labels'"),
        (("cnn", "patterns.npy", "--config", "wrong.toml"), 2, "the family 'cnn' does not take the config: TypeError"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_before_anything_is_written(
    publish, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, code: int, message: str
) -> None:
    store, run = publish
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text("labels = 3\n")
    done = run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert not store.exists()


def test_a_name_that_leads_out_of_the_store_is_refused(run, weights: Path, tmp_path: Path) -> None:
    done = run("publish", "toy-judge", weights, "--model", "../mine", "--store", tmp_path / "store")
    assert done.exit_code == 1
    assert "cannot name a model" in done.stderr


def test_a_model_that_needs_trust_says_so(publish, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genservice_toys import Judge

    _, run = publish
    monkeypatch.setattr(Judge, "needs_trust", True)
    assert "engine.trust_graphs" in run("toy-judge", weights).stderr
