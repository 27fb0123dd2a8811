"""`genservice plugin new`: begins a plugin."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import folder_option
from genservice.scaffold.kinds import KINDS

if TYPE_CHECKING:
    from genservice.scaffold.names import PluginName


@click.group("plugin")
def command() -> None:
    """Begins plugins. What is installed here, `genservice plugins` lists."""


@command.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What its model does.")
@click.option(
    "--into", type=folder_option, default=".", show_default="this folder", help="Folder that gets its folder."
)
def new(name: str, kind: str, into: Path) -> None:
    """Makes the files of a plugin: the distribution NAME, such as genservice-moons.

    It has a small model of its kind, a data set to train it on, and tests; it can be installed, trained and served as
    it is.
    """
    from genservice.scaffold.render import render, write

    plugin = _parse(name)
    _check_family(plugin)
    folder = into / plugin.distribution
    contents = render(plugin, kind)
    write(contents, folder)
    click.echo(f"{folder} has a plugin of the kind {kind}, in {len(contents)} files.\n\nWhat to do next:\n")
    family = plugin.family
    steps = (
        f"cd {shlex.quote(str(folder))}",
        'pip install --editable ".[test]"',
        "pytest",
        f"genservice train {family} --data {family}-toy --model {family} --store store",
        "genservice serve --store store",
        "python call.py",
    )
    for step in steps:
        click.echo(f"  {step}")
    click.echo("\nREADME.md says more; src/ is yours to change.")


def _parse(name: str) -> "PluginName":
    from genservice.scaffold.names import PluginName

    try:
        return PluginName.parse(name)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="NAME") from None


def _check_family(plugin: "PluginName") -> None:
    """Refuses a family's name that an installed plugin has: of the two, only one would be taken."""
    from genservice.plugin_host import PluginHost

    if taken := PluginHost.discover().families.get(plugin.family):
        raise click.BadParameter(
            f"the family {plugin.family!r} is that of {taken.plugin} {taken.plugin_version} already.", param_hint="NAME"
        )
