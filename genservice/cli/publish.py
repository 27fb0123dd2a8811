"""`genservice publish`: makes a version of a model out of files that exist."""

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import Assignment, Scalar, file_option, folder_option
from genservice.cli.train import read_serving

if TYPE_CHECKING:
    from genservice.plugin_host import Family


@click.command("publish")
@click.argument("family")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--model", required=True, help="Name of the model that gets the version.")
@click.option("--store", type=folder_option, required=True, help="Folder of models that gets the version.")
@click.option("--config", type=file_option, help="TOML file of what the family needs to build the model.")
@click.option(
    "--serving", type=Assignment(lists=True), multiple=True, help="How it is served, such as max_batch_rows=64."
)
@click.option("--summary", default="", help="What the model is, for its card.")
@click.option("--trained-on", default="", help="What it was trained on and who made that, for its card.")
@click.option("--licence", default="", help="SPDX name of the licence of data and weights, for its card.")
@click.option("--limits", default="", help="What it cannot do, for its card.")
def command(
    family: str,
    path: Path | None,
    model: str,
    store: Path,
    config: Path | None,
    serving: tuple[tuple[str, Scalar], ...],
    summary: str,
    trained_on: str,
    licence: str,
    limits: str,
) -> None:
    """Publishes PATH, a file or a folder, as the model's next version, which FAMILY builds.

    PATH is copied under its own name, and is what the family's training would have written, or what its plugin says. A
    family that needs no files needs no PATH.
    """
    from genservice.cli.discovery import discover, find
    from genservice.store.manifest import Card, Manifest
    from genservice.store.store import ModelStore

    found = find(discover().families, family, "family")
    values = _read(config) if config is not None else {}
    _check(found, values)
    manifest = Manifest(
        family=found.name,
        plugin=found.plugin,
        plugin_version=found.plugin_version,
        config=values,
        serving=read_serving(dict(serving)),
        card=Card(summary=summary, data=trained_on, licence=licence, limits=limits),
    )

    def build(directory: Path) -> Manifest:
        if path is not None:
            _copy(path, directory)
        return manifest

    version = ModelStore([store]).publish(model, build)
    click.echo(f"models/{model}/versions/{version} is in {store}")
    if found.model.needs_trust:
        click.echo("It is served where the setting engine.trust_graphs is true, and nowhere else.", err=True)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as fault:
        raise click.BadParameter(f"{file} cannot be read: {fault.strerror}.", param_hint="--config") from None
    except ValueError as fault:
        raise click.BadParameter(f"{file} is not TOML: {fault}.", param_hint="--config") from None


def _check(family: "Family", config: Mapping[str, Any]) -> None:
    """Builds the model, without its weights: what is wrong with the config is told before anything is copied."""
    from pydantic import ValidationError

    from genservice.errors import GenserviceError

    try:
        family.model(config)
    except GenserviceError as fault:
        reason = fault.message
    except ValidationError as invalid:
        first = invalid.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}."
    except KeyError as missing:
        reason = f"it lacks {missing}."
    except Exception as fault:  # noqa: BLE001 - the plugin's code may raise anything, and its text is for the author
        reason = f"{type(fault).__name__}: {fault}."
    else:
        return
    raise click.BadParameter(f"the family {family.name!r} does not take the config: {reason}", param_hint="--config")


def _copy(path: Path, directory: Path) -> None:
    """Copies a file, or the files of a folder, into a version's folder, under its own name.

    Raises:
        StoreError: It has no file, a link in it, or cannot be read.
    """
    from genservice.errors import StoreError
    from genservice.store.files import regular_files

    source = path.resolve()
    names = regular_files(source) if source.is_dir() else [""] if source.is_file() else []
    if not names:
        raise StoreError(f"{path} is no file, and no folder that has a file in it.")
    try:
        for name in names:
            target = directory / source.name / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
    except OSError as refusal:
        raise StoreError(f"{path} cannot be copied: {refusal}.") from refusal
