import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genservice.cli.evaluation_files import card, write_pictures
from genservice.cli.plots import confusion_picture, roc_picture, samples_picture
from genservice.store.store import ModelStore
from genservice.training.evaluation import Evaluation
from genservice.training.evaluation.figures import ComparerFigures, TaggerFigures, TextFigures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSERVICE_DATA", str(tmp_path / "cache"))


def evaluate(run, store: Path, *arguments: object):
    return run("evaluate", "--store", store, "--data", "toy-clothes", *arguments)


def test_a_generator_is_measured_and_its_card_shows_samples(run, toy_store: Path, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "out" / "out.json", "--card", tmp_path / "out" / "card.md")
    done = evaluate(run, toy_store, "toy-gan", "--judge", "toy-cnn", *files, "--fail-under", "agreement=0.9")
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out" / "out.json").read_text())
    assert figures["model"] == "models/toy-gan/versions/1"
    assert figures["agreement"] == 1
    assert figures["samples"] == 90
    card = (tmp_path / "out" / "card.md").read_text()
    assert card.startswith("# toy-gan\n\nA toy.")
    assert "| agreement | 1.0 |" in card
    # What was measured before is gone.
    assert "| accuracy | 0.5 |" not in card
    assert card.count("**Measured by.**") == 1
    assert "![Samples of toy-gan](toy-gan-samples.png)" in card
    with Image.open(tmp_path / "out" / "toy-gan-samples.png") as picture:
        # Three labels with eight samples of 6 by 8 pixels, ten times enlarged.
        assert picture.size == (8 * (60 + 2) + 2, 3 * (80 + 2) + 2)
    assert "frechet_ratio" in done.stdout


def test_a_generator_needs_no_judge(run, toy_store: Path) -> None:
    done = evaluate(run, toy_store, "toy-gan", "--samples", 30, "--fail-under", "pixel_precision=0.5")
    assert done.exit_code == 0, done.output
    assert "agreement" not in done.stdout


def test_a_classifier_is_measured_on_held_out_rows_and_its_confusion_drawn(
    run, toy_store: Path, tmp_path: Path
) -> None:
    places = ("--card", tmp_path / "cards" / "cnn.md", "--pictures", tmp_path / "pictures")
    done = evaluate(run, toy_store, "toy-cnn@1", "--json", tmp_path / "out.json", *places)
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["accuracy"], figures["rows"]) == (1, 90)
    assert "(../pictures/toy-cnn-confusion.png)" in (tmp_path / "cards" / "cnn.md").read_text()
    assert (tmp_path / "pictures" / "toy-cnn-confusion.png").is_file()


@pytest.mark.parametrize("model", ["toy-gan", "toy-cnn"])
def test_through_a_server_the_figures_are_the_same(
    run, toy_store: Path, server: str, tmp_path: Path, model: str
) -> None:
    shared = ("--data", "toy-clothes", "--judge", "toy-cnn", "--json")
    served = run("evaluate", model, *shared, tmp_path / "served.json", "--server", server, "--card", tmp_path / "c.md")
    assert served.exit_code == 0, served.output
    here = run("evaluate", model, *shared, tmp_path / "here.json", "--store", toy_store)
    assert here.exit_code == 0, here.output

    def figures(file: str) -> dict[str, object]:
        values = json.loads((tmp_path / file).read_text())
        return {name: value for name, value in values.items() if not name.endswith("_per_second")}

    assert figures("served.json") == figures("here.json")
    assert "A toy." in (tmp_path / "c.md").read_text()


def test_a_figure_that_is_too_small_fails_and_nothing_is_published(run, toy_store: Path, tmp_path: Path) -> None:
    done = evaluate(run, toy_store, "toy-cnn", "--fail-under", "accuracy=1.1", "--publish", tmp_path / "shipped")
    assert done.exit_code == 1
    assert "accuracy is 1, and must be 1.1 at least" in done.stderr
    assert not (tmp_path / "shipped").exists()


def test_a_figure_that_is_too_great_fails(run, toy_store: Path) -> None:
    done = evaluate(run, toy_store, "toy-cnn", "--fail-over", "accuracy=0.9")
    assert done.exit_code == 1
    assert "accuracy is 1, and must be 0.9 at most" in done.stderr


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
        (("toy-gna",), 1, "Did you mean 'toy-gan'"),
        (("toy-gan:best",), 1, "There is no label 'best'"),
        (("toy-gan@x",), 1, "is no name of a model"),
        (("toy-gan", "--samples", "300"), 1, "has 90 rows to compare with, not 300"),
        (("toy-cnn", "--fail-under", "acuracy=1"), 2, "Did you mean 'accuracy'"),
        (("toy-cnn", "--fail-under", "accuracy"), 2, "name=number"),
        (("toy-cnn", "--server", "127.0.0.1:1", "--publish", "store"), 2, "leave --server out"),
        (("toy-cnn", "--server", ""), 1, "target is empty"),
    ],
)
def test_what_cannot_be_measured_says_why(
    run, toy_store: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = evaluate(run, toy_store, *arguments)
    assert done.exit_code == code, done.output
    assert message in done.stderr


def test_a_model_that_the_server_has_not_says_why(run, server: str) -> None:
    done = run("evaluate", "toy-gna", "--data", "toy-clothes", "--server", server)
    assert done.exit_code == 1, done.output
    assert "Did you mean 'toy-gan'" in done.stderr


def test_texts_and_curves_are_on_the_card_too(tmp_path: Path) -> None:
    texts = TextFigures(
        samples=2, near_copies=0.5, near_copies_real=0.0, samples_per_second=1.0, examples=["one\n", "two"]
    )
    likeness = ComparerFigures(
        people=2, pictures=4, pairs=6, auc=0.75, tpr_at_fpr_1_percent=0.5, tpr_at_fpr_1_permille=0.5, threshold=1.0,
        pair_accuracy=0.5, rank_1=0.5, roc=[(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)],
    )  # fmt: skip
    evaluation = Evaluation("models/odd/versions/2", "toys", 0, [texts, likeness], card="An odd one.")
    write_pictures(evaluation, tmp_path / "pictures")
    assert (tmp_path / "pictures" / "odd-samples.txt").read_text() == "one\n\n----\n\ntwo\n"
    text = card(evaluation, "this command", file=tmp_path / "card.md", pictures=tmp_path / "pictures")
    assert "![ROC of odd](pictures/odd-roc.png)" in text
    assert "```text\none\n\n----\n\ntwo\n```" in text
    assert "| near_copies | 0.5 |" in text
    assert "| auc | 0.75 |" in text
    assert "**Measured by.** `this command`" in text
    assert json.loads(json.dumps(evaluation.to_json()))["roc"][1] == [0, 0.5]
    assert "examples" not in evaluation.to_json()


def test_tagged_sequences_are_on_the_card(tmp_path: Path) -> None:
    tagger = TaggerFigures(
        sequences=1, tokens=2, token_accuracy=0.5, sequence_accuracy=0.0, score_kind=None, nats_per_sequence=None,
        nats_per_token=None, tokens_per_second=1.0, examples=["she/PRON runs/NOUN[VERB]"],
    )  # fmt: skip
    evaluation = Evaluation("models/odd/versions/2", "toys", 0, [tagger])
    write_pictures(evaluation, tmp_path)
    text = card(evaluation, "this command", file=tmp_path / "card.md", pictures=tmp_path)
    assert "```text\nshe/PRON runs/NOUN[VERB]\n```" in text
    assert "score_kind" not in text
    assert "examples" not in evaluation.to_json()


def test_a_confusion_matrix_is_darkest_where_most_rows_are() -> None:
    picture = np.asarray(confusion_picture(("one", "two"), [[9, 1], [0, 10]])).astype(int)
    size, cell = len(picture), 30
    margin = size - 2 * cell - 8

    def corner(line: int, column: int) -> int:
        return int(picture[margin + line * cell + 2, margin + column * cell + 2].sum())

    assert corner(1, 1) < corner(0, 0) < corner(0, 1) < corner(1, 0) == 3 * 255


def test_a_characteristic_without_area_is_drawn_too() -> None:
    assert roc_picture([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], 0.0).width > 400


def test_pictures_in_colour_stay_so() -> None:
    assert samples_picture(np.full((9, 32, 32, 3), [255, 0, 0], np.uint8)).getpixel((10, 10)) == (255, 0, 0)
