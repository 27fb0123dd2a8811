"""`genservice classify`: names what is on pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Scalar, files_argument, json_option, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.tables import print_table

if TYPE_CHECKING:
    from genservice_client import Classification


@click.command("classify")
@click.argument("model")
@files_argument
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Labels to name for each row.")
@question_options
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
    from genservice.cli.inputs import Decoding, read_inputs

    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_inputs(files, version, Decoding(resize=resize, invert=invert))
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
    ranked = answer.top(top)
    rows = [
        (name, *(f"{label} {probability:.1%}" for label, probability in labels))
        for name, labels in zip(names, ranked, strict=True)
    ]
    columns = ("input", *(f"label {place + 1}" for place in range(len(ranked[0]))))
    print_table(columns, rows, answer.model)
