"""`genservice classify`: names what is on pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Assignment, Scalar, json_option, server_option
from genservice.cli.connection import answering_version, connected

if TYPE_CHECKING:
    from genservice_client import Classification


@click.command("classify")
@click.argument("model")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Labels to name for each row.")
@click.option("--resize", is_flag=True, help="Scale pictures to the model's size.")
@click.option("--invert", is_flag=True, help="Make light dark, for models that know light things on a dark ground.")
@click.option("-o", "--option", "options", type=Assignment(), multiple=True, help="Option of the model.")
@server_option
@json_option
def command(
    model: str,
    files: tuple[Path, ...],
    top: int,
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
    as_json: bool,
) -> None:
    """Classifies FILES with MODEL: pictures, .npy, or .npz as `genservice sample` writes it."""
    from genservice.cli.inputs import Decoding, read_rows

    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_rows(files, version.event, Decoding(resize=resize, invert=invert))
        answer = client.classify(version.name, rows, options=dict(options))
    if as_json:
        _print_json(names, answer, top)
    else:
        _print_table(names, answer, top)


def _print_json(names: list[str], answer: "Classification", top: int) -> None:
    import json

    rows = [{"input": name, "labels": dict(ranked)} for name, ranked in zip(names, answer.top(top), strict=True)]
    click.echo(json.dumps({"model": answer.model, "rows": rows}, indent=2))


def _print_table(names: list[str], answer: "Classification", top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("input", title=answer.model)
    ranked = answer.top(top)
    for place in range(len(ranked[0])):
        table.add_column(f"label {place + 1}")
    for name, labels in zip(names, ranked, strict=True):
        table.add_row(name, *(f"{label} {probability:.1%}" for label, probability in labels))
    Console().print(table)
