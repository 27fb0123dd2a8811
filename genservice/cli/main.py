"""The entry of the command line.

Exit codes: 0 done; 1 it failed, with the reason in one line on the standard error stream; 2 a flag, an argument or a
setting is wrong.
"""

from typing import Any

import click

from genservice.cli import (
    bench,
    bulk,
    catalogue,
    classify,
    compare,
    config,
    copy_models,
    demo,
    devices,
    embed,
    evaluate,
    identify,
    models,
    neighbours,
    plugin,
    plugins,
    predict,
    publish,
    sample,
    score,
    serve,
    tag,
    train,
    version,
)
from genservice.cli.failures import Failure
from genservice.errors import GenserviceError


class Commands(click.Group):
    """Commands whose errors are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except GenserviceError as error:
            raise Failure.of(error) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Serves generative and discriminative models as plugins; its unit of work is the sample.

    Exit codes: 0 done, 1 failed, 2 wrong usage or settings.
    """


for module in (
    serve,
    sample,
    bulk,
    classify,
    tag,
    compare,
    identify,
    neighbours,
    embed,
    score,
    predict,
    models,
    catalogue,
    plugin,
    plugins,
    publish,
    copy_models,
    devices,
    train,
    evaluate,
    config,
    bench,
    demo,
    version,
):
    main.add_command(module.command)
