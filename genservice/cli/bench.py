"""`genservice bench`: measures what an operator has to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import Scalar, config_option, folder_option, model_options
from genservice.cli.failures import Failure

if TYPE_CHECKING:
    from genservice.cli.capacity import Capacity, Plan
    from genservice.cli.replica import Replica


METRICS_PORT = 8501
"""Port of the metrics, unless settings say otherwise."""


@click.group("bench")
def command() -> None:
    """Measures what an operator has to know."""


@command.command("capacity")
@click.argument("model")
@click.option(
    "--server", "--address", "address", help="Address of a replica that does nothing else. Else one is started here."
)
@click.option("--metrics", "metrics_url", help="Where its metrics are. Default: http://HOST:8501/metrics.")
@click.option("--store", "stores", type=folder_option, multiple=True, help="Folder of models; may be repeated.")
@config_option
@model_options
@click.option("--rows", type=click.IntRange(min=1), default=16, show_default=True, help="Rows of a request.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Time of a step."
)
@click.option(
    "--queue-limit-s",
    type=click.FloatRange(min=0, min_open=True),
    default=0.25,
    show_default=True,
    help="Longest p99 of the time in the queue that is still good.",
)
@click.option(
    "--utilisation",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.7,
    show_default=True,
    help="Part of its capacity that a replica should be used to.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of when requests come.")
def capacity_command(
    model: str,
    address: str | None,
    metrics_url: str | None,
    stores: tuple[Path, ...],
    config: Path | None,
    options: tuple[tuple[str, Scalar], ...],
    rows: int,
    seconds: float,
    queue_limit_s: float,
    utilisation: float,
    seed: int,
) -> None:
    """Measures how many rows a second one replica makes of MODEL, and prints targets for KEDA and the HPA as JSON.

    Whole batches without a pause come first, of each size that the settings have. Then requests come by chance, at a
    greater rate step by step, until 1 of 100 batches waits longer than the limit. The target is the number of rows
    queued and running at the part of that rate which --utilisation says.
    """
    import json

    from genservice.cli.capacity import Plan

    if address is None and metrics_url is not None:
        raise click.UsageError("--metrics goes with --server.")
    if address is not None and (stores or config):
        raise click.UsageError("--store and --config are for a replica that is started here: leave --server out.")
    plan = Plan(rows, seconds, queue_limit_s, utilisation, seed)
    with _replica(model, address, metrics_url, stores, config) as replica:
        measured = _measured(replica, model, plan, dict(options))
    click.echo(json.dumps(measured.to_json(), indent=2))


@contextmanager
def _replica(
    model: str, address: str | None, metrics_url: str | None, stores: tuple[Path, ...], config: Path | None
) -> "Iterator[Replica]":
    from genservice.cli.replica import Replica, running_replica

    if address is not None:
        host = address.removeprefix("dns:///").rpartition(":")[0]
        yield Replica(address, metrics_url or f"http://{host}:{METRICS_PORT}/metrics")
        return
    from genservice.cli.discovery import discover
    from genservice.cli.settings import read_settings

    roots = read_settings({"store": stores} if stores else {}, config).store or discover().stores
    with running_replica(_model_name(model), list(roots), config) as replica:
        yield replica


def _model_name(text: str) -> str:
    """The name of a model without version and label."""
    from genservice_client.names import resource_name

    try:
        return resource_name(text).split("/")[1]
    except ValueError as error:
        raise Failure(str(error)) from error


def _measured(replica: "Replica", model: str, plan: "Plan", options: dict[str, Any]) -> "Capacity":
    import asyncio

    from genservice.cli.capacity import measure
    from genservice.cli.connection import answering_version, connected
    from genservice.cli.demo_run import settled_version
    from genservice.cli.load import Target
    from genservice_client import AsyncClient, GenserviceClientError, ModelState, RetryPolicy

    with connected(replica.address) as client:
        settled_version(client, _model_name(model))
        version = answering_version(client, model)
    if version.state is not ModelState.READY:
        raise Failure(f"{version.name} is {version.state}: {version.reason}")

    async def run() -> "Capacity":
        # A request that is refused counts as that: it is not made again.
        async with AsyncClient(replica.address, retry=RetryPolicy(max_attempts=1)) as client:
            target = Target(client, version, replica.metrics_url, options)
            return await measure(target, plan, lambda line: click.echo(line, err=True))

    try:
        return asyncio.run(run())
    except GenserviceClientError as error:
        raise Failure(error.message) from error
    except OSError as fault:
        raise Failure(f"The metrics at {replica.metrics_url} cannot be read: {fault}.") from fault
    except (ValueError, TypeError) as fault:
        raise Failure(f"{fault}.") from fault
