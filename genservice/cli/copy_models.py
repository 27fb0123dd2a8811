"""`genservice copy-models`: fills a folder of models."""

from pathlib import Path

import click

from genservice.cli.arguments import folder_option
from genservice.cli.failures import write_termination_log
from genservice.errors import GenserviceError


@click.command("copy-models")
@click.argument("target", type=folder_option)
@click.argument("models", nargs=-1)
@click.option(
    "--store",
    "stores",
    type=folder_option,
    multiple=True,
    help="Folder of models to copy from; may be repeated. Without one: what ships with the installed plugins.",
)
def command(target: Path, models: tuple[str, ...], stores: tuple[Path, ...]) -> None:
    """Copies MODELS, or all that there are, into the folder TARGET, for `genservice serve --store TARGET`.

    Every file's hash is checked. A version is there whole or not at all, and one that is there already is not copied
    again, so that the command may be run again, and by several at once.
    """
    try:
        _copy(target, models, stores)
    except GenserviceError as error:
        write_termination_log(error.message)
        raise


def _copy(target: Path, models: tuple[str, ...], stores: tuple[Path, ...]) -> None:
    from genservice.errors import SettingsError
    from genservice.plugin_host import PluginHost
    from genservice.store.copy import copy_labels, copy_version, sweep_root
    from genservice.store.store import ModelStore

    if missing := [folder for folder in stores if not folder.is_dir()]:
        raise SettingsError(f"{missing[0]} is not a folder.")
    roots = stores or tuple(PluginHost.discover().stores)
    if not roots:
        raise SettingsError("No plugin that is installed ships models: give --store a folder of models.")
    store = ModelStore(roots)
    for model in models or store.models():
        versions = store.versions(model)
        sweep_root(target, model)
        for version in versions:
            copied = copy_version(store, model, version, target)
            click.echo(f"models/{model}/versions/{version} {'was copied' if copied else 'is there'}")
        copy_labels(store, model, target)
