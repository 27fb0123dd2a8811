"""`genservice config`: the settings in effect."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from genservice.cli.arguments import config_option

WIDTH = 100


@click.command("config")
@config_option
def command(config: Path | None) -> None:
    """Prints the settings in effect as TOML, with a description of each; the output is a file for --config."""
    from genservice.cli.settings import read_settings

    settings = read_settings({}, config)
    click.echo("\n".join(lines(type(settings), settings.model_dump(mode="json"))))


def lines(model: Any, values: Mapping[str, Any], table: str = "") -> list[str]:
    """A table of settings as lines of TOML: its values first, then the tables in it.

    Args:
        model: The pydantic model that has the fields.
        values: The values, as JSON can hold them.
        table: The table's name; empty for the outermost.
    """
    import tomli_w

    from genservice.cli.settings import nested_model

    plain: list[str] = []
    tables: list[str] = []
    for name, field in model.model_fields.items():
        value, path = values[name], f"{table}.{name}" if table else name
        about = [f"# {line}" for line in wrap(field.description or "", WIDTH - 2)]
        inner = nested_model(model, name)
        if value is None:
            # TOML has no word for "absent".
            plain += [*about, f"# [{path}]" if inner else f"# {name} =", ""]
        elif inner:
            tables += [*about, f"[{path}]", "", *lines(inner, value, path)]
        elif isinstance(value, Mapping):
            tables += [*about, *tomli_w.dumps(_prefixed(path, value)).splitlines(), ""]
        else:
            plain += [*about, *tomli_w.dumps({name: value}).splitlines(), ""]
    return plain + tables


def _prefixed(path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = dict(value)
    for part in reversed(path.split(".")):
        tree = {part: tree}
    return tree
