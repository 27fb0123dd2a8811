"""`kubectl kustomize DIR | python -m deploy.checks`: says what is wrong with rendered manifests."""

import json
import sys
from dataclasses import asdict
from typing import TextIO

import click

from deploy.checks import configuration, lifecycle, network, resources, scaling, security
from deploy.checks.check import CHECKS, problems
from deploy.checks.manifests import Manifests

MODULES = (configuration, lifecycle, network, resources, scaling, security)
"""Where the checks are: they register themselves."""


@click.command()
@click.argument("files", nargs=-1, type=click.File())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--list", "listing", is_flag=True, help="List the checks.")
def main(files: tuple[TextIO, ...], as_json: bool, listing: bool) -> None:
    """Checks FILES, or what comes on the standard input: each what is applied together.

    Exit codes: 0 nothing is wrong; 1 something is, a line each; 2 a file is no manifest.
    """
    if listing:
        for name, look in sorted(CHECKS.items()):
            click.echo(f"{name}: {look.__doc__}")
        return
    found = [(file.name, problem) for file in files or (sys.stdin,) for problem in problems(_read(file))]
    if as_json:
        click.echo(json.dumps([{"file": file, **asdict(problem)} for file, problem in found], indent=2))
    else:
        for file, problem in found:
            click.echo(f"{file}: {problem}")
    sys.exit(1 if found else 0)


def _read(file: TextIO) -> Manifests:
    import yaml

    try:
        manifests = Manifests.parse(file.read())
    except yaml.YAMLError as fault:
        raise click.UsageError(f"{file.name} is not YAML: {fault}") from fault
    if not manifests.objects:
        raise click.UsageError(f"There is nothing in {file.name}.")
    return manifests


if __name__ == "__main__":
    main(prog_name="python -m deploy.checks")
