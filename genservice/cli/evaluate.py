"""`genservice evaluate`: measures a model against real data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Bound, file_option, folder_option
from genservice.cli.failures import Failure
from genservice.cli.notices import quiet_tensorflow
from genservice.cli.train import this_command

if TYPE_CHECKING:
    from genservice.model.fit import DataSet, Progress
    from genservice.plugin_host import PluginHost
    from genservice.store.names import ModelName
    from genservice.store.store import ModelStore
    from genservice.training.figures import Figures


@click.command("evaluate")
@click.argument("model")
@click.option("--data", "source", default="fashion-mnist", show_default=True, help="Data source to compare with.")
@click.option("--judge", help="For a generator: a classifier and embedder that had no part in its training.")
@click.option(
    "--store",
    "stores",
    type=folder_option,
    multiple=True,
    help="Folder of models; may be repeated. Those of the plugins are always there, last.",
)
@click.option("--samples", type=click.IntRange(min=2), default=10_000, show_default=True, help="Samples to draw.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of everything.")
@click.option("--json", "json_file", type=file_option, help="File that gets all figures.")
@click.option(
    "--card", "card_file", type=file_option, help="File that gets the model card with the figures, as Markdown."
)
@click.option(
    "--publish",
    "target",
    type=folder_option,
    help="Folder of models that gets the same files with the figures on their card, as the model's next version there.",
)
@click.option("--fail-under", "bounds", type=Bound(), multiple=True, help="Fail if a figure is less: agreement=0.9.")
def command(
    model: str,
    source: str,
    judge: str | None,
    stores: tuple[Path, ...],
    samples: int,
    seed: int,
    json_file: Path | None,
    card_file: Path | None,
    target: Path | None,
    bounds: tuple[tuple[str, float], ...],
) -> None:
    """Measures MODEL, served in this process.

    A generator is measured by its samples, in the eyes of a judge; a classifier by data that is held out. MODEL is a
    name, such as fashion-gan, or fashion-gan@3 for a version.

    A version never changes, so figures get on a card by publishing the files again: --publish with the store itself
    makes its next version; with another folder, such as that of a plugin's models, the version to ship.
    """
    import asyncio
    import json

    from genservice.cli.discovery import discover, find
    from genservice.cli.progress import progress_bar
    from genservice.store.store import ModelStore
    from genservice.training.cache import cache_folder
    from genservice.training.measured import publish_measured, with_metrics

    quiet_tensorflow()
    host = discover()
    roots = [*stores, *host.stores]
    if not roots:
        raise click.UsageError("No plugin ships models, so --store is needed.")
    store = ModelStore(roots)
    names = [_name(store, name) for name in (model, judge) if name is not None]
    data = find(host.data_sources, source, "data source")(cache_folder())
    with progress_bar(f"Measuring {model}") as advance:
        figures = asyncio.run(_measure(host, store, names, data, samples, seed, advance))
    metrics = figures.metrics()
    _print(figures.model, metrics)
    version = int(figures.model.rpartition("/")[2])
    if json_file is not None:
        json_file.write_text(json.dumps(figures.to_json(), indent=2) + "\n")
    if card_file is not None:
        measured = with_metrics(store.manifest(names[0].model, version), metrics, this_command())
        card_file.write_text(measured.card.markdown() + "\n")
    _check(metrics, bounds)
    if target is not None:
        number = publish_measured(store, names[0].model, version, ModelStore([target]), metrics, this_command())
        click.echo(f"models/{names[0].model}/versions/{number} is in {target}")


async def _measure(
    host: "PluginHost",
    store: "ModelStore",
    names: "list[ModelName]",
    data: "DataSet",
    samples: int,
    seed: int,
    progress: "Progress",
) -> "Figures":
    from genservice.training.evaluation import evaluate_classifier, evaluate_generator
    from genservice.training.served import serving

    async with serving(store, host.families, names) as (engine, versions):
        model, *judges = versions
        if "sample" not in model.verbs:
            return await evaluate_classifier(engine, model, data, progress=progress)
        if not judges:
            raise click.UsageError(f"{model.name} is a generator: name the classifier that judges it with --judge.")
        return await evaluate_generator(engine, model, judges[0], data, samples=samples, seed=seed, progress=progress)


def _name(store: "ModelStore", text: str) -> "ModelName":
    """The name of a version, or of a model's newest one; labels are looked up in the store."""
    from genservice.store.names import ModelName
    from genservice_client.names import resource_name

    try:
        name = ModelName.parse(resource_name(text))
    except ValueError as error:
        raise Failure(str(error)) from error
    if name.label is None:
        return name
    from genservice.cli.discovery import find

    return ModelName(name.model, version=find(store.labels(name.model), name.label, "label"))


def _print(model: str, metrics: "dict[str, float | int | str]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", title=model)
    for name, value in metrics.items():
        table.add_row(name, str(value))
    Console().print(table)


def _check(metrics: "dict[str, float | int | str]", bounds: tuple[tuple[str, float], ...]) -> None:
    from genservice.errors import suggestion

    for name, least in bounds:
        value = metrics.get(name)
        if not isinstance(value, (int, float)):
            known = [figure for figure, number in metrics.items() if not isinstance(number, str)]
            raise click.UsageError(f"There is no figure {name!r}.{suggestion(name, known)}")
        if value < least:
            raise Failure(f"{name} is {value:g}, and must be {least:g} at least.")
