"""`genservice embed`: writes the embeddings of pictures to a file."""

from pathlib import Path

import click

from genservice.cli.arguments import Scalar, file_option, files_argument, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.failures import Failure


@click.command("embed")
@click.argument("model")
@files_argument
@click.option(
    "--out", type=file_option, required=True, help="FILE.npz that gets `embeddings`, `inputs` (names) and `model`."
)
@question_options
def command(
    model: str,
    files: tuple[Path, ...],
    out: Path,
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
) -> None:
    """Maps FILES to vectors whose distances mean something to MODEL."""
    from genservice.cli.inputs import Decoding, read_inputs, write_arrays

    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_inputs(files, version, Decoding(resize=resize, invert=invert))
        embeddings = client.embed(version.name, rows, options=dict(options))
    try:
        write_arrays(out, {"embeddings": embeddings, "inputs": names, "model": version.name})
    except OSError as fault:
        raise Failure(f"{out} cannot be written: {fault.strerror}.") from fault
    click.echo(f"{len(embeddings)} embeddings of {embeddings.shape[1]} dimensions by {version.name}: {out}")
