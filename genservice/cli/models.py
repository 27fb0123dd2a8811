"""`genservice models`: what a server serves."""

from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import json_option, server_option
from genservice.cli.connection import connected

if TYPE_CHECKING:
    from genservice_client import ModelInfo


@click.command("models")
@server_option
@json_option
def command(server: str, as_json: bool) -> None:
    """Lists the models of a server, with all versions that it knows."""
    with connected(server) as client:
        rows = [row for model in client.models() for row in _rows(model)]
    if as_json:
        import json

        click.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("model", no_wrap=True), "version", "state", "family", "verbs")
    for row in rows:
        names = ", ".join(["default"] * row["default"] + row["labels"])
        number = f"{row['version']} ({names})" if names else str(row["version"])
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        table.add_row(row["model"], number, state, row["family"], ", ".join(row["verbs"]))
    Console().print(table)


def _rows(model: "ModelInfo") -> list[dict[str, Any]]:
    return [
        {
            "model": model.name.removeprefix("models/"),
            "version": version.number,
            "default": version.number == model.default_version,
            "state": version.state.value,
            "reason": version.reason,
            "family": version.family,
            "plugin": version.plugin,
            "verbs": list(version.verbs),
            "labels": sorted(label for label, number in model.labels.items() if number == version.number),
            "classes": list(version.labels),
            "content_hash": version.content_hash,
            "numerics": version.numerics,
            "card": version.card,
        }
        for version in model.versions
    ]
