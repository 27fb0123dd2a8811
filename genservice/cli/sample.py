"""`genservice sample`: draws samples and writes them to files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Assignment, Scalar, seed_option, server_option
from genservice.cli.connection import answering_version, connected, picture_form
from genservice.cli.failures import Failure
from genservice.cli.progress import progress_bar
from genservice.cli.sample_files import DEFAULT_PICTURE, show_samples, write_samples

if TYPE_CHECKING:
    from genservice.model.fit import Progress
    from genservice_client import DrawsExhaustedError, SampleChunk, SampleFilter, SampleStream


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
@click.option("--keep-label", help="Keep samples that a classifier takes for this label, until COUNT are kept.")
@click.option("--keep-by", help="The classifier.")
@click.option(
    "--keep-probability",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Least probability of the label. 0: the label is the most probable.",
)
@click.option(
    "--max-draws", type=click.IntRange(min=1), help="Most samples to draw for those. By default 100 for each."
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
    keep_label: str | None,
    keep_by: str | None,
    keep_probability: float,
    max_draws: int | None,
    server: str,
) -> None:
    """Draws COUNT samples of MODEL.

    MODEL is a name, such as fashion-gan, fashion-gan@3 for a version, or fashion-gan:stable for a label. Sample i
    of a seed is the same in every draw.
    """
    keep = _filter(keep_label, keep_by, keep_probability, max_draws)
    exhausted: list[DrawsExhaustedError] = []
    with connected(server) as client, progress_bar(f"Sampling {model}") as advance:
        version = answering_version(client, model)
        try:
            stream = client.sample(
                model,
                count,
                seed=seed,
                first_index=first_index,
                output=None if out is not None and out.suffix == ".npz" else picture_form(version),
                options=dict(options),
                conditions={name: str(text) for name, text in conditions},
                keep=keep,
            )
            chunks = _counted(stream, count, advance, exhausted)
            texts = write_samples(chunks, out, count) if out is not None else show_samples(chunks, count)
        except (ValueError, TypeError) as fault:
            raise Failure(f"{fault}.") from fault
        except OSError as fault:
            raise Failure(f"{out or DEFAULT_PICTURE} cannot be written: {fault.strerror}.") from fault
    for text in texts:
        click.echo(text)
    if exhausted:
        place = "" if texts else f"; what passed is in {out or DEFAULT_PICTURE}"
        raise Failure(f"{exhausted[0].message}{place}.")
    place = "" if texts else f": {out or DEFAULT_PICTURE}"
    assert stream.summary is not None
    header, summary = stream.header, stream.summary
    drawn = f" of {summary.draw_count} drawn" if keep is not None else ""
    click.echo(
        f"{summary.sample_count} samples{drawn} of {header.model}, seed {header.seed}, {summary.elapsed_s:.2f} s{place}"
    )


def _filter(
    label: str | None, classifier: str | None, probability: float, max_draws: int | None
) -> "SampleFilter | None":
    from genservice_client import SampleFilter

    if label is None and classifier is None:
        if probability or max_draws:
            raise click.UsageError("--keep-probability and --max-draws go with --keep-label and --keep-by.")
        return None
    if label is None or classifier is None:
        raise click.UsageError("--keep-label and --keep-by go together.")
    try:
        return SampleFilter(classifier=classifier, label=label, min_probability=probability, max_draws=max_draws or 0)
    except ValueError as fault:
        raise click.UsageError(f"{fault}.") from fault


def _counted(
    stream: "SampleStream", count: int, advance: "Progress", exhausted: "list[DrawsExhaustedError]"
) -> "Iterator[SampleChunk]":
    """The chunks of a stream; where draws do not suffice, those that were found, and `exhausted` gets the error."""
    from genservice_client import DrawsExhaustedError

    done = 0
    try:
        for chunk in stream:
            yield chunk
            done += len(chunk)
            advance(done, count, {})
    except DrawsExhaustedError as error:
        if not done:
            raise
        exhausted.append(error)
