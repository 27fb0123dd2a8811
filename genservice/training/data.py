"""The data sources that genservice brings along: a plugin like any other."""

from collections.abc import Callable, Mapping
from pathlib import Path

from genservice.model.fit import DataSet
from genservice.model.hookspecs import hookimpl
from genservice.training import cifar10, fashion_mnist, letters, mnist, orl_faces, shakespeare, tabular, treebank


@hookimpl
def genservice_register_data_sources() -> Mapping[str, Callable[[Path], DataSet]]:
    """Gives the built-in data sets by name."""
    return {
        cifar10.CATS_AND_DOGS: cifar10.load_cats_and_dogs,
        cifar10.NAME: cifar10.load,
        fashion_mnist.NAME: fashion_mnist.load,
        letters.NAME: letters.load,
        mnist.NAME: mnist.load,
        orl_faces.NAME: orl_faces.load,
        shakespeare.NAME: shakespeare.load,
        treebank.NAME: treebank.load,
        **tabular.SOURCES,
    }
