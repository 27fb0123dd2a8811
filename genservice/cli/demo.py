"""`genservice demo`: a server, and a client that draws samples from one model and has another name them."""

from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import folder_option
from genservice.cli.failures import Failure
from genservice.cli.notices import errors_shown_on_failure, quiet_tensorflow

if TYPE_CHECKING:
    from genservice.cli.demo_run import Outcome

SAMPLES_PER_LABEL = 10


@click.command("demo")
@click.option("--out", type=folder_option, default=Path("out/demo"), show_default=True, help="Folder for the results.")
@click.option("--generator", default="fashion-gan", show_default=True, help="Model that samples are drawn from.")
@click.option("--judge", default="fashion-cnn", show_default=True, help="Model that names them.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True, help="Seed of the samples.")
def command(out: Path, generator: str, judge: str, seed: int) -> None:
    """Shows the service at work: starts a server, calls each of its models, and writes pictures and report.json."""
    import json

    from genservice.cli.demo_run import run
    from genservice.cli.demo_sheet import contact_sheet, sheet
    from genservice.cli.service import in_background
    from genservice.cli.settings import read_settings
    from genservice.plugin_host import PluginHost
    from genservice.telemetry.logs import configure_logs

    settings = read_settings({"server": {"listen": "127.0.0.1:0", "http_listen": ""}})
    quiet_tensorflow()
    with errors_shown_on_failure() as log:
        configure_logs(stream=log)
        with in_background(settings, PluginHost.discover()) as address:
            outcome = run(address, generator, judge, SAMPLES_PER_LABEL, seed)
        if failed := [call.name for call in outcome.calls if not call.ok]:
            raise Failure(f"These models do not work: {', '.join(failed)}.")
    out.mkdir(parents=True, exist_ok=True)
    sheet(outcome).save(out / "samples.png")
    contact_sheet(outcome.calls).save(out / "models.png")
    (out / "report.json").write_text(json.dumps(outcome.report(), indent=2) + "\n")
    _print(outcome)
    click.echo(f"{out / 'samples.png'}, {out / 'models.png'} and {out / 'report.json'} are written.")


def _print(outcome: "Outcome") -> None:
    from collections import Counter

    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        "asked for", "named", "as asked", "probability", title=f"{outcome.generator}, named by {outcome.judge}"
    )
    for label, drawn in outcome.by_label().items():
        named = Counter(sample.named for sample in drawn).most_common()
        right = sum(sample.named == label for sample in drawn)
        probability = sum(sample.probability for sample in drawn) / len(drawn)
        counts = ", ".join(f"{name} {count}" for name, count in named)
        table.add_row(label, counts, f"{right} of {len(drawn)}", f"{probability:.1%}")
    console = Console()
    console.print(table)
    calls = Table(Column("model", no_wrap=True), "kind", "seconds", "answer", title="An answer of each model")
    for call in outcome.calls:
        calls.add_row(call.name, call.kind, f"{call.seconds:.3f}", call.answer)
    console.print(calls)
    for call in outcome.calls:
        if call.text:
            click.echo(f"{call.name}:\n{indent(call.text, '    ')}\n")
    click.echo(
        f"{len(outcome.drawn)} samples, {outcome.samples_per_second:.0f} a second; "
        f"{outcome.judge} agrees with {outcome.agreement:.0%}."
    )
