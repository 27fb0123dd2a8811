import shlex
from pathlib import Path

import pytest
from click import Context, UsageError
from PIL import Image

from genservice.cli.catalogue import calls, page, pictures_of
from genservice.cli.main import main
from genservice.model.base import Classifier, LabellingScorer, Latent, Scorer, TextGenerator
from genservice.model.specs import TensorSpec
from genservice.plugin_host import PluginHost
from genservice.store.store import ModelStore

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_page_has_a_section_of_each_model(run, toy_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "docs" / "models.md"
    done = run("catalogue", "--store", toy_store, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"2 models are in {out}\n"
    text = out.read_text()
    assert "| [toy-cnn](#toy-cnn) | genservice-toys | classify, embed | accuracy 0.5 |" in text
    assert text.index("## toy-cnn") < text.index("## toy-gan")
    assert "$ genservice sample toy-gan 16 -o label=hat" in text
    assert "$ genservice classify toy-cnn picture.png" in text
    assert "| accuracy | 0.5 |" in text
    assert "takes float32 `[8, 6, 1]` in [-1, 1]. Labels: hat, glove, scarf." in text
    assert "![" not in text


def test_pictures_and_texts_are_shown_where_there_are_any(run, toy_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "docs" / "models.md"
    pictures = pictures_of(out)
    pictures.mkdir(parents=True)
    Image.new("L", (4, 4)).save(pictures / "toy-gan-samples.png")
    (pictures / "toy-cnn-samples.txt").write_text("a text\n")
    run("catalogue", "--store", toy_store, "--out", out)
    text = out.read_text()
    assert "## toy-gan\n\n![Samples of toy-gan](images/models/toy-gan-samples.png)\n" in text
    assert "## toy-cnn\n\n```text\na text\n```\n" in text


def test_a_model_of_a_family_that_is_not_installed_says_so(
    run, toy_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PluginHost, "discover", classmethod(lambda cls: cls()))
    done = run("catalogue", "--store", toy_store, "--out", tmp_path / "models.md")
    assert done.exit_code == 1
    assert "There is no family 'toy-judge'" in done.stderr


def test_without_models_there_is_no_page(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PluginHost, "discover", classmethod(lambda cls: cls()))
    done = run("catalogue", "--out", tmp_path / "models.md")
    assert done.exit_code == 2
    assert "--store is needed" in done.stderr


def test_the_command_that_trains_stands_there_without_what_the_card_says_anyway(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "toy-garments", "--data", "toy-clothes", "--model", "mine", "--store", str(tmp_path / "store")]
    monkeypatch.setattr("sys.argv", ["genservice", *command, "--summary", "Some toys.", "--limits", "All."])
    assert run(*command, "--summary", "Some toys.", "--limits", "All.").exit_code == 0
    run("catalogue", "--store", tmp_path / "store", "--out", tmp_path / "models.md")
    text = (tmp_path / "models.md").read_text()
    assert f"**Trained by.** `genservice {shlex.join(command)}`" in text
    assert "Some toys." in text


class Everything(TextGenerator, Scorer, Classifier, Latent):
    """Has verbs, and does nothing."""

    family = "toy-everything"
    latent = TensorSpec((2,))


class Tags(LabellingScorer):
    """Likewise."""

    family = "toy-tags"
    event = TensorSpec((2,))
    positions = 3


def test_what_has_no_command_is_called_from_python() -> None:
    everything = type("Made", (Everything,), dict.fromkeys(Everything.__abstractmethods__, print))({})
    commands, python = calls("all", everything)
    assert commands == ["genservice sample all 16", "genservice classify all rows.npy"]
    assert python == [
        'client.score("all", ["a text"])',
        'client.encode("all", rows)',
        'client.decode("all", latents)',
    ]
    tags = type("Made", (Tags,), dict.fromkeys(Tags.__abstractmethods__, print))({})
    assert calls("tags", tags) == (
        ["genservice tag tags sequence.npy"],
        ['client.score("tags", sequences=sequences, labellings=labellings)'],
    )


def test_the_page_of_the_shipped_models_is_what_the_command_gives() -> None:
    host = PluginHost.discover()
    stores = [store for store in host.stores if PAGE.parents[1] in store.parents]
    assert page(ModelStore(stores), host.families, PAGE, pictures_of(PAGE)) == PAGE.read_text(), (
        "the page is not up to date: run `genservice catalogue`"
    )


def test_the_commands_on_the_page_are_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "picture.png",
        "rows.npy",
        "one.png",
        "other.png",
        "one.npy",
        "other.npy",
        "sequence.npy",
        "inputs.npz",
    ):
        (tmp_path / name).touch()
    (tmp_path / "people").mkdir()
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("$ genservice ")]
    assert lines
    for line in lines:
        verb, *arguments = shlex.split(line)[2:]
        try:
            main.commands[verb].make_context(verb, arguments, parent=Context(main))
        except UsageError as error:
            pytest.fail(f"{line}: {error.message}")
