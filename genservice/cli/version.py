"""`genservice version`: what is installed here, for a report of a fault."""

import platform
from importlib import metadata

import click

LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "grpcio", "protobuf")


@click.command("version")
def command() -> None:
    """Prints the versions of genservice, its plugins, Python and the libraries that matter. Imports none of them."""
    plugins = {point.dist.name for point in metadata.entry_points(group="genservice.plugins") if point.dist}
    for name in ("genservice", *sorted(plugins)):
        click.echo(f"{name} {metadata.version(name)}")
    click.echo(f"Python {platform.python_version()}")
    for name in LIBRARIES:
        try:
            click.echo(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
