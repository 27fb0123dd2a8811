"""`genservice bulk`: many samples, by processes that know nothing of each other."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import DEFAULT_SERVER, Assignment, Scalar, existing_file, folder_option, json_option
from genservice.cli.failures import FAILED, WRONG_USAGE, Failure, write_termination_log

if TYPE_CHECKING:
    from genservice.bulk import Job, Plan, Report
    from genservice_client import Client

MIXED = 3
"""Exit code where another try cannot succeed: the folder or the service has another job or content."""
TERMINATED = 128 + signal.SIGTERM
READ_AHEAD_BYTES = 32 << 20
"""Samples from several replicas that may wait to be written; a pod has little memory."""


class EachLine(Assignment):
    """`name=value`; in the environment one a line."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Gives the lines that are not empty."""
        return [line.strip() for line in rv.splitlines() if line.strip()]


def _setting(name: str, *more: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that a ConfigMap may give, too, such as GENSERVICE_BULK_SHARD_SAMPLES for --shard-samples."""
    variable = "GENSERVICE_BULK_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *more, envvar=variable, show_envvar=True, **settings)


@click.group("bulk")
def command() -> None:
    """Draws many samples of one seed in parts, each by a process of its own, such as the pods of an Indexed Job.

    Exit codes: 0 done; 1 failed, another try goes on where it was; 2 wrong usage; 3 the folder or the service has
    another job or content, and another try would fail, too.
    """


@command.command("run")
@_setting("--model", required=True, help="Such as fashion-gan.")
@_setting("--samples", type=click.IntRange(min=1), required=True, help="Samples in all, over all indexes.")
@_setting("--seed", type=click.IntRange(0, 2**64 - 1), required=True, help="Seed of all of them.")
@_setting("--indexes", type=click.IntRange(min=1), required=True, help="Parts that the samples are made in.")
@click.option(
    "--index",
    type=click.IntRange(min=0),
    envvar="JOB_COMPLETION_INDEX",
    show_envvar=True,
    required=True,
    help="The part to make, from 0.",
)
@_setting("--out", type=folder_option, required=True, help="Folder of all parts.")
@_setting(
    "--shard-samples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Most samples in a file; they are held in memory.",
)
@_setting(
    "--option",
    "-o",
    "options",
    type=EachLine(lists=True),
    multiple=True,
    help="Option of the model, such as label=sneaker; in the environment one a line.",
)
@_setting(
    "--condition",
    "-c",
    "conditions",
    type=EachLine(),
    multiple=True,
    help="Condition of the draw, such as prompt=HAMLET:; in the environment one a line.",
)
@_setting("--output", type=click.Choice(["float32", "uint8"]), help="Type of the numbers. By default, the model's own.")
@click.option(
    "--server",
    "--address",
    "server",
    default=DEFAULT_SERVER,
    show_default=True,
    envvar="GENSERVICE_TARGET",
    show_envvar=True,
    help="Address of the service; a name with several addresses is asked at all of them.",
)
@_setting("--tls-ca", type=existing_file, help="Authorities that may vouch for the server, as PEM. Encrypts.")
@_setting("--tls-certificate", type=existing_file, help="Own certificate, where the server asks for one.")
@_setting("--tls-key", type=existing_file, help="Its key.")
@_setting(
    "--priority",
    type=click.Choice(["low", "normal", "high"]),
    default="low",
    show_default=True,
    help="How soon rows are drawn next to those of others.",
)
@_setting(
    "--attempts",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Attempts without progress before it gives up; 20 take about two minutes.",
)
def run(
    index: int,
    out: Path,
    model: str,
    options: tuple[tuple[str, Scalar], ...],
    conditions: tuple[tuple[str, Scalar], ...],
    server: str,
    tls_ca: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    priority: str,
    attempts: int,
    **numbers: Any,
) -> None:
    """Makes the samples of one index, but for those that are there.

    All indexes get the same arguments and the same folder, whose job.json the first of them writes. Index k of K makes
    the samples from k*N/K on, in files that are there as a whole or not at all; run again, it goes on behind the last.

    A file is an .npz with the model's own numbers or texts as `samples`, and their `indexes`. Any of them is drawn
    again, as a picture or another file, by `genservice sample MODEL COUNT --seed SEED --first-index INDEX`.
    """
    with _told():
        plan = _plan(
            asked=model,
            options=dict(options),
            conditions={name: str(text) for name, text in conditions},
            **numbers,
        )
        if index >= plan.indexes:
            raise Failure(
                f"The index is {index}; of {plan.indexes} indexes the last is {plan.indexes - 1}.", WRONG_USAGE
            )
        with _client(server, (tls_ca, tls_certificate, tls_key), priority, attempts) as client:
            _run(client, plan, index, out)


@command.command("verify")
@click.argument("folder", type=folder_option, envvar="GENSERVICE_BULK_OUT")
@json_option
def verify_command(folder: Path, as_json: bool) -> None:
    """Shows that FOLDER has all samples of its job, each once and undamaged; fails with what is missing or doubled."""
    from genservice.bulk import verify

    with _told():
        report = verify(folder)
        if as_json:
            import json

            click.echo(json.dumps(_facts(report), indent=2))
        if not report.complete:
            raise Failure(f"{folder}: {_shortcomings(report)}.")
        if not as_json:
            job = report.job
            click.echo(
                f"{folder}: {job.samples} samples of {job.model}, content {job.content_hash:.12}, seed {job.seed}; "
                f"each once, in {len(report.spans)} files of {job.indexes} indexes"
            )


def _run(client: "Client", plan: "Plan", index: int, out: Path) -> None:
    from genservice.bulk import run_index

    job = _agreed(client, plan, out)
    made = run_index(client, job, index, out, click.echo)
    part = job.part(index)
    click.echo(
        f"index {index} is done: samples {part.start} to {part.stop - 1} of {job.model}, seed {job.seed}; {made.drawn} "
        f"drawn, {made.kept} kept"
    )


def _plan(**fields: Any) -> "Plan":
    from pydantic import ValidationError

    from genservice.bulk import Plan

    try:
        return Plan(**fields)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        place = ".".join(str(part) for part in first["loc"][:2])
        message = first["msg"].removeprefix("Value error, ")
        raise Failure(f"{place}: {message}." if place else f"{message}.", WRONG_USAGE) from None


def _agreed(client: "Client", plan: "Plan", out: Path) -> "Job":
    """The folder's job; where there is none yet, one of the version that answers now."""
    from genservice.bulk import Job, agree
    from genservice.bulk.job import TEXT, read_job
    from genservice_client import Determinism

    there = read_job(out)
    if there is not None:
        there.check_plan(plan, out)
        return there
    # A draw tells the version, and refuses options that are wrong before anything is written.
    stream = client.sample(
        plan.asked, 1, seed=plan.seed, output=plan.output, conditions=plan.conditions, options=plan.options
    )
    header = stream.start()
    stream.cancel()
    own = TEXT if header.spec.dtype is None else header.spec.dtype.name
    job = Job(
        **plan.model_dump(),
        model=header.model,
        content_hash=header.content_hash,
        determinism=header.determinism.value,
        numerics=header.numerics if header.determinism is Determinism.BITWISE else "",
        dtype=plan.output or own,
        shape=header.spec.shape,
    )
    return agree(out, job)


@contextmanager
def _client(
    server: str, tls_files: "tuple[Path | None, Path | None, Path | None]", priority: Any, attempts: int
) -> "Iterator[Client]":
    from genservice_client import (
        Client,
        GenserviceClientError,
        InvalidArgumentError,
        Limits,
        RetryPolicy,
        Tls,
        UnimplementedError,
    )

    authorities, certificate, key = tls_files
    tls = Tls(root_certificates=authorities, certificate_chain=certificate, private_key=key)
    try:
        with Client(
            server,
            tls=tls if any(tls_files) else None,
            priority=priority,
            retry=RetryPolicy(max_attempts=attempts),
            limits=Limits(read_ahead_bytes=READ_AHEAD_BYTES),
        ) as client:
            yield client
    except (InvalidArgumentError, UnimplementedError) as refusal:
        raise Failure(refusal.message, WRONG_USAGE) from refusal
    except GenserviceClientError as error:
        raise Failure(f"{server}: {error.message}") from error
    except ValueError as fault:
        raise Failure(f"{fault}.", WRONG_USAGE) from fault


@contextmanager
def _told() -> Iterator[None]:
    """Ends at SIGTERM, even as a container's first process, and tells Kubernetes why it failed."""
    from genservice.bulk import BulkError, MixedJobError

    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except BulkError as error:
        write_termination_log(error.message)
        raise Failure(error.message, MIXED if isinstance(error, MixedJobError) else FAILED) from error
    except Failure as failure:
        write_termination_log(failure.message)
        raise
    except Exception as error:
        write_termination_log(f"{type(error).__name__}: {error}")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


def _facts(report: "Report") -> dict[str, Any]:
    return {
        "job": report.job.model_dump(),
        "complete": report.complete,
        "files": len(report.spans),
        "missing": [list(span) for span in report.missing],
        "doubled": [list(span) for span in report.doubled],
        "faults": report.faults,
        "indexes_to_run": report.indexes_to_run,
    }


def _shortcomings(report: "Report") -> str:
    from genservice.bulk.verify import count, spans_text

    job, parts = report.job, []
    for name, spans in (("missing", report.missing), ("there more than once", report.doubled)):
        if spans:
            parts.append(f"{count(spans)} of {job.samples} samples are {name} ({spans_text(spans)})")
    if report.faults:
        more = len(report.faults) - 1
        parts.append(report.faults[0] + (f" (and {more} more such faults)" if more else ""))
    if report.indexes_to_run:
        parts.append(f"to run again: {', '.join(map(str, report.indexes_to_run))}")
    return "; ".join(parts)
