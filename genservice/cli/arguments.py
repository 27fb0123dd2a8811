"""Arguments that several commands take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Scalar = bool | int | float | str

DEFAULT_SERVER = "127.0.0.1:8500"

server_option = click.option(
    "--server", default=DEFAULT_SERVER, show_default=True, envvar="GENSERVICE_TARGET", help="Address of the server."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="GENSERVICE_CONFIG",
    help="File of settings, as `genservice config` prints it.",
)
seed_option = click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed of all the randomness.")


class Assignment(click.ParamType[tuple[str, Any]]):
    """`name=value`, as a pair. The value is read as JSON where it is a scalar of that, else as a text.

    Args:
        lists: Whether it may be a list, such as `batch_sizes=[8,64]`.
    """

    name = "name=value"

    def __init__(self, *, lists: bool = False) -> None:
        self._kinds = (bool, int, float, str, list) if lists else (bool, int, float, str)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Reads the text."""
        if isinstance(value, tuple):
            return value
        name, sign, text = value.partition("=")
        if not (name and sign):
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        try:
            read = json.loads(text)
        except ValueError:
            return name, text
        return name, read if isinstance(read, self._kinds) else text


class Bound(click.ParamType[tuple[str, float]]):
    """`name=number`, as a pair."""

    name = "name=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Reads the text."""
        if isinstance(value, tuple):
            return value
        name, _, text = value.partition("=")
        try:
            return name, float(text)
        except ValueError:
            self.fail(f"{value!r} is not of the form name=number.", param, ctx)


model_options = click.option("-o", "--option", "options", type=Assignment(), multiple=True, help="Option of the model.")
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
files_argument = click.argument("files", nargs=-1, required=True, type=existing_file)
folder_option = click.Path(file_okay=False, path_type=Path)
file_option = click.Path(dir_okay=False, path_type=Path)


def question_options(command: Function) -> Function:
    """Adds the options of all commands that ask a model about files: `resize`, `invert`, `options` and `server`."""
    resize = click.option("--resize", is_flag=True, help="Scale pictures to the model's size.")
    invert = click.option(
        "--invert", is_flag=True, help="Make light dark, for models that know light things on a dark ground."
    )
    return resize(invert(model_options(server_option(command))))
