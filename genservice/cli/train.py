"""`genservice train`: makes a version of a model."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Assignment, Scalar, folder_option
from genservice.cli.notices import quiet_tensorflow
from genservice.cli.progress import progress_bar

if TYPE_CHECKING:
    from genservice.store.manifest import Serving


@click.command("train")
@click.argument("family")
@click.option("--data", "source", required=True, help="Data source, such as fashion-mnist.")
@click.option("--model", required=True, help="Name of the model that gets the version.")
@click.option("--store", type=folder_option, required=True, help="Folder of models that gets the version.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the training.")
@click.option("--set", "settings", type=Assignment(), multiple=True, help="The family's setting, such as steps=100.")
@click.option(
    "--serving", type=Assignment(lists=True), multiple=True, help="How it is served, such as max_batch_rows=64."
)
@click.option("--summary", default="", help="What the model is, for its card.")
@click.option("--limits", default="", help="What it cannot do, for its card.")
def command(
    family: str,
    source: str,
    model: str,
    store: Path,
    seed: int,
    settings: tuple[tuple[str, Scalar], ...],
    serving: tuple[tuple[str, Scalar], ...],
    summary: str,
    limits: str,
) -> None:
    """Trains FAMILY and publishes the result as the model's next version.

    A training that is cut off goes on when the same command is given again.
    """
    from genservice.cli.discovery import discover, find
    from genservice.store.store import ModelStore
    from genservice.training.cache import cache_folder
    from genservice.training.train import Recipe, train

    quiet_tensorflow()
    host = discover()
    found = find(host.families, family, "family")
    load = find(host.data_sources, source, "data source")
    cache = cache_folder()
    recipe = Recipe(
        model=model,
        seed=seed,
        settings=dict(settings),
        serving=read_serving(dict(serving)),
        summary=summary,
        limits=limits,
        trained_by=this_command(),
    )
    with progress_bar(f"Training {model}") as advance:
        version = train(found, load(cache), ModelStore([store]), recipe, cache=cache, progress=advance)
    click.echo(f"models/{model}/versions/{version} is in {store}")


def read_serving(values: dict[str, Scalar]) -> "Serving":
    """Reads how a version is served from what `--serving` was given.

    Raises:
        click.UsageError: A name is not known, or a value is wrong.
    """
    from pydantic import ValidationError

    from genservice.store.manifest import Serving

    try:
        return Serving.model_validate(values)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise click.UsageError(f"--serving {name}: {fault['msg']}.") from None


def this_command() -> str:
    """The command that runs now, as one would type it."""
    return shlex.join(["genservice", *sys.argv[1:]])
