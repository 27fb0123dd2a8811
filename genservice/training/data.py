"""The data sources that genservice brings along: a plugin like any other."""

from collections.abc import Callable, Mapping
from pathlib import Path

from genservice.model.fit import DataSet
from genservice.model.hookspecs import hookimpl
from genservice.training import fashion_mnist, shakespeare


@hookimpl
def genservice_register_data_sources() -> Mapping[str, Callable[[Path], DataSet]]:
    """Gives the built-in data sets by name."""
    return {fashion_mnist.NAME: fashion_mnist.load, shakespeare.NAME: shakespeare.load}
