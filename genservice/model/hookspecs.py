"""The whole contract of a plugin: a module named by an entry point of the group `genservice.plugins`, with these hooks.

Hooks run at start-up only. Requests go through the classes that the hooks return.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from genservice.model.base import Model
    from genservice.model.fit import DataSet

PROJECT = "genservice"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

requires_genservice = ""
"""A plugin's module may set this to a version specifier, such as `>=0.1,<0.2`."""


@hookspec
def genservice_register_families() -> "Iterable[type[Model]]":  # type: ignore[empty-body]
    """Gives the model classes of the plugin; each class's `family` is a name that no other has."""


@hookspec
def genservice_register_stores() -> Iterable[Path]:  # type: ignore[empty-body]
    """Gives the folders of models that ship with the plugin, each laid out as a model store."""


@hookspec
def genservice_register_data_sources() -> "Mapping[str, Callable[[Path], DataSet]]":  # type: ignore[empty-body]
    """Gives data sets by name; each is called with the cache folder, fetches what is missing there and returns it."""
