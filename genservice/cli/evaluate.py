"""`genservice evaluate`: measures a model against real data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Bound, file_option, folder_option
from genservice.cli.failures import Failure
from genservice.cli.notices import quiet_tensorflow
from genservice.cli.train import this_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from genservice.plugin_host import PluginHost
    from genservice.store.names import ModelName
    from genservice.store.store import ModelStore
    from genservice.training.evaluation import Evaluation, Subject
    from genservice.training.evaluation.figures import Figure

Bounds = tuple[tuple[str, float], ...]


@click.command("evaluate")
@click.argument("model")
@click.option("--data", "source", default="fashion-mnist", show_default=True, help="Data source to compare with.")
@click.option("--judge", help="For a generator: a classifier and embedder that had no part in its training.")
@click.option(
    "--server", "--address", "address", help="Address of a server that has them. Else they are served in this process."
)
@click.option(
    "--store",
    "stores",
    type=folder_option,
    multiple=True,
    help="Folder of models; may be repeated. Those of the plugins are always there, last.",
)
@click.option("--trust-graphs", is_flag=True, help="Load models that have a graph of their maker's own.")
@click.option(
    "--samples", type=click.IntRange(min=2), help="Samples to draw. Default: as many as rows are held out, up to 10000."
)
@click.option(
    "--excerpt-characters",
    type=click.IntRange(min=1),
    help="For a model of text: characters of the excerpts that are scored. Default: as many as it takes.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of everything.")
@click.option("--json", "json_file", type=file_option, help="File that gets all figures.")
@click.option(
    "--card", "card_file", type=file_option, help="File that gets the model card with the figures, as Markdown."
)
@click.option("--pictures", type=folder_option, help="Folder that gets the card's pictures. Default: the card's.")
@click.option(
    "--publish",
    "target",
    type=folder_option,
    help="Folder of models that gets the same files with the figures on their card, as the model's next version there.",
)
@click.option("--fail-under", "least", type=Bound(), multiple=True, help="Fail if a figure is less: agreement=0.9.")
@click.option("--fail-over", "most", type=Bound(), multiple=True, help="Fail if a figure is more: frechet_ratio=10.")
def command(
    model: str,
    source: str,
    judge: str | None,
    address: str | None,
    stores: tuple[Path, ...],
    trust_graphs: bool,
    samples: int | None,
    excerpt_characters: int | None,
    seed: int,
    json_file: Path | None,
    card_file: Path | None,
    pictures: Path | None,
    target: Path | None,
    least: Bounds,
    most: Bounds,
) -> None:
    """Measures MODEL, in this process or through a server.

    It is measured in all that it does: its samples, in the eyes of a judge if there is one, and its labels,
    probabilities, labellings and likenesses on data that is held out. MODEL is a name, such as fashion-gan, or
    fashion-gan@3 for a version.

    A version never changes, so figures get on a card by publishing the files again: --publish with the store itself
    makes its next version; with another folder, such as that of a plugin's models, the version to ship.
    """
    import asyncio

    from genservice.cli.discovery import discover, find
    from genservice.cli.progress import progress_bar
    from genservice.training.cache import cache_folder
    from genservice.training.evaluation import evaluate
    from genservice_client import GenserviceClientError

    if address is not None and target is not None:
        raise click.UsageError("--publish takes the files of a store: leave --server out.")
    for file in (json_file, card_file):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
    quiet_tensorflow()
    host = discover()
    roots = [*stores, *host.stores]
    named = [name for name in (model, judge) if name is not None]
    subjects = _served(host, roots, named, trust_graphs=trust_graphs) if address is None else _found(address, named)
    data = find(host.data_sources, source, "data source")(cache_folder())

    async def measure() -> "Evaluation":
        async with subjects as (subject, *judges):
            return await evaluate(
                subject,
                data,
                judge=judges[0] if judges else None,
                samples=samples,
                excerpt_characters=excerpt_characters,
                seed=seed,
                progress=advance,
            )

    try:
        with progress_bar(f"Measuring {model}") as advance:
            evaluation = asyncio.run(measure())
    except GenserviceClientError as error:
        raise Failure(error.message) from error
    metrics = evaluation.metrics()
    _print(evaluation.model, metrics)
    _write(evaluation, json_file, card_file, pictures)
    _check(metrics, least, most)
    if target is not None:
        _publish(evaluation, roots, target)


def _served(
    host: "PluginHost", roots: list[Path], names: list[str], *, trust_graphs: bool
) -> "AbstractAsyncContextManager[Sequence[Subject]]":
    """The models, to be served in this process."""
    from genservice.store.store import ModelStore
    from genservice.training.evaluation import serving

    if not roots:
        raise click.UsageError("No plugin ships models, so --store is needed.")
    store = ModelStore(roots)
    return serving(store, host.families, [_name(store, name) for name in names], trust_graphs=trust_graphs)


def _found(address: str, names: list[str]) -> "AbstractAsyncContextManager[Sequence[Subject]]":
    """The models of a server."""
    from genservice.training.evaluation import connecting
    from genservice_client import Endpoint
    from genservice_client.names import resource_name

    try:
        Endpoint(address)
        return connecting(address, [resource_name(name) for name in names])
    except ValueError as error:
        raise Failure(str(error)) from error


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


def _write(evaluation: "Evaluation", json_file: Path | None, card_file: Path | None, pictures: Path | None) -> None:
    import json

    from genservice.cli.evaluation_files import card, write_pictures

    if json_file is not None:
        json_file.write_text(json.dumps(evaluation.to_json(), indent=2) + "\n")
    folder = card_file.parent if pictures is None and card_file is not None else pictures
    if folder is not None:
        write_pictures(evaluation, folder)
        if card_file is not None:
            card_file.write_text(card(evaluation, this_command(), file=card_file, pictures=folder))


def _publish(evaluation: "Evaluation", roots: list[Path], target: Path) -> None:
    from genservice.store.store import ModelStore
    from genservice.training.evaluation import publish_measured

    _, model, _, number = evaluation.model.split("/")
    published = publish_measured(
        ModelStore(roots), model, int(number), ModelStore([target]), evaluation.metrics(), this_command()
    )
    click.echo(f"models/{model}/versions/{published} is in {target}")


def _print(model: str, metrics: "Mapping[str, Figure]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", title=model)
    for name, value in metrics.items():
        table.add_row(name, str(value))
    Console().print(table)


def _check(metrics: "Mapping[str, Figure]", least: Bounds, most: Bounds) -> None:
    from genservice.errors import suggestion

    for name, _ in (*least, *most):
        if not isinstance(metrics.get(name), (int, float)):
            known = [figure for figure, number in metrics.items() if not isinstance(number, str)]
            raise click.UsageError(f"There is no figure {name!r}.{suggestion(name, known)}")
    for name, bound in least:
        if metrics[name] < bound:  # type: ignore[operator]  # it is a number
            raise Failure(f"{name} is {metrics[name]:g}, and must be {bound:g} at least.")
    for name, bound in most:
        if metrics[name] > bound:  # type: ignore[operator]  # it is a number
            raise Failure(f"{name} is {metrics[name]:g}, and must be {bound:g} at most.")
