"""`genservice neighbours`: finds the nearest rows of a model's reference set."""

from pathlib import Path

import click

from genservice.cli.arguments import Scalar, files_argument, json_option, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.tables import print_table


@click.command("neighbours")
@click.argument("model")
@files_argument
@click.option("-k", type=click.IntRange(1, 1000), default=5, show_default=True, help="Neighbours of each row.")
@question_options
@json_option
def command(
    model: str,
    files: tuple[Path, ...],
    k: int,
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
    as_json: bool,
) -> None:
    """Finds the rows of MODEL's reference set that are nearest to FILES: places in the set, and distances."""
    from genservice.cli.inputs import Decoding, read_inputs

    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_inputs(files, version, Decoding(resize=resize, invert=invert))
        answer = client.neighbours(version.name, rows, k, options=dict(options))
    found = [
        (name, list(zip(indexes, distances, strict=True)))
        for name, indexes, distances in zip(names, answer.indexes.tolist(), answer.distances.tolist(), strict=True)
    ]
    if as_json:
        import json

        listed = [
            {"input": name, "neighbours": [{"index": index, "distance": distance} for index, distance in nearest]}
            for name, nearest in found
        ]
        click.echo(json.dumps({"model": answer.model, "rows": listed}, indent=2))
        return
    print_table(
        ("input", *(f"neighbour {place + 1}" for place in range(k))),
        [(name, *(f"{index} ({distance:.3f})" for index, distance in nearest)) for name, nearest in found],
        answer.model,
    )
