"""`genservice serve`."""

import logging
import os
import sys
import threading
import time
from pathlib import Path

import click

from genservice.cli.arguments import config_option, folder_option
from genservice.cli.failures import write_termination_log
from genservice.cli.notices import quiet_tensorflow
from genservice.errors import GenserviceError

LEAVE_S = 1.0
"""Seconds that threads have to end, once all else has."""


@click.command("serve")
@click.option("--listen", help="Address of the gRPC services, HOST:PORT or unix:/PATH.")
@click.option("--admin-listen", help="Address of the services that load and unload models.")
@click.option("--http-listen", help="Address of /metrics, /livez and /readyz.")
@click.option("--store", type=folder_option, multiple=True, help="Folder of models; may be repeated.")
@click.option("--log-format", help="console or json.")
@click.option("--log-level", help="debug, info, warning or error.")
@config_option
def command(store: tuple[Path, ...], config: Path | None, **server_flags: str | None) -> None:
    """Serves models over gRPC: those of the stores, or, without one, those that ship with the installed plugins.

    Every setting can be given in the environment, as GENSERVICE_SERVER__LISTEN, or in a file; `genservice config`
    prints them all. SIGTERM drains the server and ends it with exit code 0.
    """
    server = {name: value for name, value in server_flags.items() if value is not None}
    try:
        _serve({"server": server} | ({"store": store} if store else {}), config)
    except GenserviceError as error:
        write_termination_log(error.message)
        raise
    except Exception as error:
        write_termination_log(f"{type(error).__name__}: {error}")
        raise


def _serve(flags: dict[str, object], config: Path | None) -> None:
    import asyncio

    import uvloop

    from genservice.cli.service import Service
    from genservice.cli.settings import read_settings
    from genservice.engine.interpreter import tune
    from genservice.plugin_host import PluginHost
    from genservice.server.server import until_signalled
    from genservice.telemetry.logs import configure_logs

    settings = read_settings(flags, config)
    quiet_tensorflow()
    configure_logs(settings.server.log_format, settings.server.log_level)

    tune()

    async def run() -> None:
        await until_signalled(Service.of(settings, PluginHost.discover()).run)

    others = set(threading.enumerate())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    _end_despite(set(threading.enumerate()) - others)


def _end_despite(threads: set[threading.Thread]) -> None:
    """Ends the process where calls of models hang; Python itself would wait for their threads for ever."""
    from genservice.telemetry.logs import logger

    end = time.monotonic() + LEAVE_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()) if not thread.daemon else 0.0)
    if hanging := sorted(thread.name for thread in threads if thread.is_alive() and not thread.daemon):
        logger("genservice.serve").warning("ended although calls hang", threads=hanging)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
