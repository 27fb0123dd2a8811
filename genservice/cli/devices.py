"""`genservice devices`: what models can run on here."""

import click

from genservice.cli.arguments import json_option


@click.command("devices")
@json_option
def command(as_json: bool) -> None:
    """Lists the devices that TensorFlow sees, and the workers that `genservice serve` starts where none are set.

    TensorFlow is asked in a process of its own.
    """
    import json
    import subprocess
    import sys

    from genservice.cli.failures import Failure
    from genservice.engine.settings import EngineSettings
    from genservice.engine.workers import worker_makers

    asked = subprocess.run(
        [sys.executable, "-m", "genservice.engine.devices"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise Failure(f"TensorFlow cannot be asked: {(asked.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    devices = json.loads(asked.stdout)
    workers = list(worker_makers(EngineSettings()))
    if as_json:
        click.echo(json.dumps({"devices": devices, "workers": workers}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("device", "description", "memory", "worker")
    for device in devices:
        memory = f"{device['memory_bytes'] / 2**30:.1f} GiB" if device["memory_bytes"] else ""
        table.add_row(device["device"], device["description"], memory, "started" if device["device"] in workers else "")
    Console().print(table)
