"""`genservice plugins`: what is installed here."""

from typing import Any

import click

from genservice.cli.arguments import json_option


@click.command("plugins")
@json_option
def command(as_json: bool) -> None:
    """Lists the plugins that are installed here, what each gives, and what is wrong with it."""
    from genservice.plugin_host import PluginHost

    rows: list[dict[str, Any]] = [
        {
            "plugin": report.name,
            "distribution": report.distribution,
            "version": report.version,
            "module": report.module,
            "families": list(report.families),
            "stores": list(map(str, report.stores)),
            "data_sources": list(report.data_sources),
            "problem": report.problem,
        }
        for report in PluginHost.discover().reports
    ]
    if as_json:
        import json

        click.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("plugin", "distribution", "families", "data sources", "problem")
    for row in rows:
        made_by = f"{row['distribution']} {row['version']}"
        table.add_row(
            row["plugin"], made_by, ", ".join(row["families"]), ", ".join(row["data_sources"]), row["problem"] or ""
        )
    Console().print(table)
