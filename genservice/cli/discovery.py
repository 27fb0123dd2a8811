"""The plugins that are installed."""

from collections.abc import Mapping
from typing import TypeVar

import click

from genservice.errors import NotFound, suggestion
from genservice.plugin_host import PluginHost

Found = TypeVar("Found")


def discover() -> PluginHost:
    """Loads the plugins; what is wrong with one is told on the standard error stream, and the others work."""
    host = PluginHost.discover()
    for report in host.reports:
        if report.problem:
            click.echo(f"Warning: {report.problem}", err=True)
    return host


def find(known: Mapping[str, Found], name: str, kind: str) -> Found:
    """Finds what plugins have given.

    Args:
        known: By name.
        name: The name.
        kind: What it names, for the error.

    Raises:
        NotFound: There is none of that name.
    """
    if name not in known:
        raise NotFound(f"There is no {kind} {name!r}.{suggestion(name, known)}")
    return known[name]
