"""`genservice catalogue`: writes the page of the models that plugins ship."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import file_option, folder_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genservice.model.base import Model
    from genservice.plugin_host import Family
    from genservice.store.manifest import Card, Manifest
    from genservice.store.store import ModelStore

HEADLINES = (
    "accuracy",
    "token_accuracy",
    "auc",
    "agreement",
    "frechet_ratio",
    "row_frechet_ratio",
    "nats_per_row",
    "nats_per_character",
)
"""Figures that stand in the table of all models, where a model has them."""

_INTRODUCTION = """\
# The models that ship

Written by `genservice catalogue`, from the models' own cards; the figures on them are those of `genservice evaluate`. A
command that trains a model says so under it: the data is fetched when it is first used, and with the same seed the same
recipe is run. `genservice serve` serves all of them."""


@click.command("catalogue")
@click.option(
    "--out", type=file_option, default=Path("docs/models.md"), show_default=True, help="File that gets the page."
)
@click.option(
    "--pictures", type=folder_option, help="Folder of the pictures. Default: images/models, next to the page."
)
@click.option(
    "--store",
    "stores",
    type=folder_option,
    multiple=True,
    help="Folder of models; may be repeated. Default: those of the plugins.",
)
def command(out: Path, pictures: Path | None, stores: tuple[Path, ...]) -> None:
    """Writes a page of models, from their cards: what each is, how good, what it was made of, and how it is called.

    Pictures and texts are taken from the folder of pictures, where `genservice evaluate --pictures` puts them.
    """
    from genservice.cli.discovery import discover
    from genservice.store.store import ModelStore

    host = discover()
    roots = stores or tuple(host.stores)
    if not roots:
        raise click.UsageError("No plugin ships models, so --store is needed.")
    text = page(ModelStore(roots), host.families, out, pictures or pictures_of(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    click.echo(f"{text.count(chr(10) + '## ')} models are in {out}")


def pictures_of(out: Path) -> Path:
    """The folder of a page's pictures, where none is named."""
    return out.parent / "images" / "models"


def page(store: "ModelStore", families: "Mapping[str, Family]", out: Path, pictures: Path) -> str:
    """The page of all models of a store, each in its newest version.

    Args:
        store: Where they are.
        families: Families by name.
        out: Where the page is to be.
        pictures: Folder of the pictures.

    Raises:
        NotFound: The family of one is not installed.
    """
    from genservice.cli.discovery import find

    rows, sections = [], []
    for name in sorted(store.models()):
        manifest = store.manifest(name, max(store.versions(name)))
        model = find(families, manifest.family, "family").model(manifest.config)
        rows.append(_row(name, manifest, model))
        sections.append(_section(name, manifest, model, out, pictures))
    table = "\n".join(["| model | plugin | what it can do | figures |", "| --- | --- | --- | --- |", *rows])
    return "\n\n".join([_INTRODUCTION, table, *sections]) + "\n"


def calls(name: str, model: "Model") -> tuple[list[str], list[str]]:
    """What calls a model.

    Args:
        name: Its name.
        model: It; not loaded.

    Returns:
        Commands, and what there is no command for, as Python.
    """
    from genservice.engine.verbs import IMAGES, features_of, verbs_of
    from genservice.model.base import Tagger

    image = IMAGES in features_of(model)
    rows = "picture.png" if image else "rows.npy"
    words = '"words of a sentence"' if model.event.dtype == "string" else "sequence.npy"
    commands = {
        "sample": f"sample {name} 16{_label(model)}",
        "score": f"score {name} {rows}",
        "classify": f"classify {name} {rows}",
        "embed": f"embed {name} {rows} --out embeddings.npz",
        "compare": f"compare {name} {'one.png other.png' if image else 'one.npy other.npy'}",
        "identify": f"identify {name} {rows} --gallery people",
        "neighbours": f"neighbours {name} {rows} -k 5",
        "tag": f"tag {name} {words}",
        "predict": f"predict {name} inputs.npz",
    }
    python = {
        "encode": f'client.encode("{name}", rows)',
        "decode": f'client.decode("{name}", latents)',
    }
    if isinstance(model, Tagger):
        python["score"] = f'client.score("{name}", sequences=sequences, labellings=labellings)'
    elif model.event.dtype == "string":
        python["score"] = f'client.score("{name}", ["a text"])'
    verbs = verbs_of(model)
    return (
        [f"genservice {commands[verb]}" for verb in verbs if verb not in python],
        [python[verb] for verb in verbs if verb in python],
    )


def _label(model: "Model") -> str:
    if model.labels and "label" in model.Options.model_fields:
        import shlex

        return f" -o {shlex.quote(f'label={model.labels[0]}')}"
    return ""


def _row(name: str, manifest: "Manifest", model: "Model") -> str:
    from genservice.engine.verbs import verbs_of

    metrics = manifest.card.metrics
    figures = ", ".join(f"{figure} {metrics[figure]}" for figure in HEADLINES if figure in metrics)
    return f"| [{name}](#{name}) | {manifest.plugin} | {', '.join(verbs_of(model))} | {figures} |"


def _section(name: str, manifest: "Manifest", model: "Model", out: Path, pictures: Path) -> str:
    from genservice.cli.evaluation_files import illustrations

    size = sum(entry.size_bytes for entry in manifest.files.values())
    commands, python = calls(name, model)
    facts = [f"Family `{manifest.family}` of `{manifest.plugin}`; {_bytes(size)} of weights; takes {_event(model)}."]
    if model.labels:
        facts.append(f"Labels: {', '.join(model.labels)}.")
    return "\n\n".join(
        [
            f"## {name}",
            *illustrations(name, pictures, beside=out.parent),
            _shown(manifest.card).markdown() or "It has no card.",
            " ".join(facts),
            *_blocks("console", [f"$ {line}" for line in commands]),
            *_blocks("python", python),
        ]
    )


def _shown(card: "Card") -> "Card":
    """The card without what it would say twice: the command that trains has the summary and the limits in it."""
    import shlex

    words = shlex.split(card.trained_by)
    for option in ("--summary", "--limits"):
        if option in words:
            place = words.index(option)
            del words[place : place + 2]
    return card.model_copy(update={"trained_by": shlex.join(words)})


def _blocks(language: str, lines: "Sequence[str]") -> list[str]:
    return ["\n".join([f"```{language}", *lines, "```"])] if lines else []


def _event(model: "Model") -> str:
    event = model.event
    if event.dtype == "string":
        return "strings"
    bounds = "" if event.minimum is None else f" in [{event.minimum:g}, {event.maximum:g}]"
    return f"{event.dtype} `[{', '.join(map(str, event.shape))}]`{bounds}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
