"""`genservice sample`: draws samples and writes them to files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Assignment, Scalar, seed_option, server_option
from genservice.cli.connection import connected
from genservice.cli.failures import Failure
from genservice.cli.progress import progress_bar
from genservice.cli.sample_files import DEFAULT_PICTURE, show_samples, write_samples

if TYPE_CHECKING:
    from genservice.model.fit import Progress
    from genservice_client import SampleChunk, SampleStream


@click.command("sample")
@click.argument("model")
@click.argument("count", type=click.IntRange(min=1))
@seed_option
@click.option("--first-index", type=click.IntRange(min=0), default=0, help="Index of the first sample.")
@click.option(
    "-o",
    "--option",
    "options",
    type=Assignment(lists=True),
    multiple=True,
    help="Option of the model, such as label=sneaker; a list of strings as JSON.",
)
@click.option(
    "-c",
    "--condition",
    "conditions",
    type=Assignment(),
    multiple=True,
    help="Condition of the draw, such as prompt=HAMLET:; a text for all samples.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="FILE.png: one picture of all; FILE.npz: arrays; FILE.jsonl: texts; else a folder, with a file each. Where it "
    "is not given: samples.png, and texts are printed.",
)
@server_option
def command(
    model: str,
    count: int,
    seed: int | None,
    first_index: int,
    options: tuple[tuple[str, Scalar], ...],
    conditions: tuple[tuple[str, Scalar], ...],
    out: Path | None,
    server: str,
) -> None:
    """Draws COUNT samples of MODEL.

    MODEL is a name, such as fashion-gan, fashion-gan@3 for a version, or fashion-gan:stable for a label. Sample i
    of a seed is the same in every draw.
    """
    with connected(server) as client, progress_bar(f"Sampling {model}") as advance:
        try:
            stream = client.sample(
                model,
                count,
                seed=seed,
                first_index=first_index,
                options=dict(options),
                conditions={name: str(text) for name, text in conditions},
            )
            chunks = _counted(stream, count, advance)
            texts = write_samples(chunks, out, count) if out is not None else show_samples(chunks, count)
        except (ValueError, TypeError) as fault:
            raise Failure(f"{fault}.") from fault
        except OSError as fault:
            raise Failure(f"{out or DEFAULT_PICTURE} cannot be written: {fault.strerror}.") from fault
    for text in texts:
        click.echo(text)
    assert stream.summary is not None
    header, summary = stream.header, stream.summary
    place = "" if texts else f": {out or DEFAULT_PICTURE}"
    click.echo(
        f"{summary.sample_count} samples of {header.model}, seed {header.seed}, {summary.elapsed_s:.2f} s{place}"
    )


def _counted(stream: "SampleStream", count: int, advance: "Progress") -> "Iterator[SampleChunk]":
    done = 0
    for chunk in stream:
        yield chunk
        done += len(chunk)
        advance(done, count, {})
