"""What an evaluation leaves for people: pictures, texts, and a card that shows them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genservice.training.evaluation import Evaluation

PICTURES: Mapping[str, str] = {
    "samples": "Samples",
    "confusion": "Confusion matrix (lines are the true labels)",
    "roc": "ROC",
}
"""Titles of the pictures of a model, by the ends of their files' names."""
TEXT = "samples"
_TEXT_BREAK = "\n\n----\n\n"


def write_pictures(evaluation: "Evaluation", folder: Path) -> None:
    """Writes the pictures and texts of an evaluation.

    Args:
        evaluation: What was measured.
        folder: Where the files go: `MODEL-samples.png`, `MODEL-confusion.png`, `MODEL-roc.png`, `MODEL-samples.txt`.
    """
    from genservice.cli.plots import confusion_picture, roc_picture, samples_picture
    from genservice.training.evaluation.figures import (
        ClassifierFigures,
        ComparerFigures,
        GeneratorFigures,
        TaggerFigures,
        TextFigures,
    )

    folder.mkdir(parents=True, exist_ok=True)
    model = model_of(evaluation)
    for part in evaluation.parts:
        match part:
            case GeneratorFigures() if len(part.examples):
                samples_picture(part.examples).save(picture_file(folder, model, "samples"), optimize=True)
            case ClassifierFigures():
                picture = confusion_picture(part.labels, part.confusion_matrix)
                picture.save(picture_file(folder, model, "confusion"), optimize=True)
            case ComparerFigures():
                roc_picture(part.roc, part.auc).save(picture_file(folder, model, "roc"), optimize=True)
            case TextFigures():
                text = _TEXT_BREAK.join(example.strip("\n") for example in part.examples)
                text_file(folder, model).write_text(text + "\n")
            case TaggerFigures():
                text_file(folder, model).write_text("\n".join(part.examples) + "\n")


def card(evaluation: "Evaluation", measured_by: str, *, file: Path, pictures: Path) -> str:
    """The card of a version with what was measured, as Markdown.

    Args:
        evaluation: What was measured.
        measured_by: The command that measured it.
        file: Where the card is to be.
        pictures: Folder of the pictures.
    """
    from genservice.store.manifest import Card

    stale = ("**Measured by.**", "| figure |")
    kept = [part for part in evaluation.card.split("\n\n") if not part.startswith(stale)]
    measured = Card(summary="\n\n".join(kept), measured_by=measured_by, metrics=evaluation.metrics())
    model = model_of(evaluation)
    return "\n\n".join([f"# {model}", measured.markdown(), *illustrations(model, pictures, beside=file.parent)]) + "\n"


def illustrations(model: str, pictures: Path, *, beside: Path) -> list[str]:
    """The pictures and texts that there are of a model, as Markdown.

    Args:
        model: Its name.
        pictures: Folder of the pictures.
        beside: Folder of the document that shows them.
    """
    where = Path(os.path.relpath(pictures, beside))
    shown = [
        f"![{title} of {model}]({picture_file(where, model, kind).as_posix()})"
        for kind, title in PICTURES.items()
        if picture_file(pictures, model, kind).is_file()
    ]
    if text_file(pictures, model).is_file():
        shown.append(f"```text\n{text_file(pictures, model).read_text()}```")
    return shown


def picture_file(folder: Path, model: str, kind: str) -> Path:
    """Where a picture of a model is."""
    return folder / f"{model}-{kind}.png"


def text_file(folder: Path, model: str) -> Path:
    """Where texts of a model are."""
    return folder / f"{model}-{TEXT}.txt"


def model_of(evaluation: "Evaluation") -> str:
    """Name of the model, without its version."""
    return evaluation.model.split("/")[1]
