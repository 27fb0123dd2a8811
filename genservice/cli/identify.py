"""`genservice identify`: says who is on pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genservice.cli.arguments import Scalar, file_option, files_argument, json_option, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.failures import Failure
from genservice.cli.progress import progress_bar
from genservice.cli.tables import print_table

if TYPE_CHECKING:
    from genservice.cli.inputs import Decoding
    from genservice_client import Client, Gallery, VersionInfo


@click.command("identify")
@click.argument("model")
@files_argument
@click.option(
    "--gallery",
    "source",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Folder with a folder of pictures for each person, named by the person; or a file that --save wrote.",
)
@click.option("--save", type=file_option, help="FILE.npz that gets the gallery, so that it need not be embedded again.")
@question_options
@json_option
def command(
    model: str,
    files: tuple[Path, ...],
    source: Path,
    save: Path | None,
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
    as_json: bool,
) -> None:
    """Says who of a gallery is on FILES, in the eyes of MODEL."""
    from genservice.cli.inputs import Decoding, read_inputs
    from genservice_client import Gallery

    decoding = Decoding(resize=resize, invert=invert)
    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_inputs(files, version, decoding)
        try:
            gallery = Gallery.load(source) if source.is_file() else _enrolled(client, version, source, decoding)
            answer = client.identify(version.name, rows, gallery, options=dict(options))
        except ValueError as fault:
            raise Failure(f"{fault}.") from fault
    if save is not None:
        try:
            gallery.save(save)
        except OSError as fault:
            raise Failure(f"{save} cannot be written: {fault.strerror}.") from fault
    found = list(zip(names, answer.names, answer.distances.tolist(), strict=True))
    if as_json:
        import json

        listed = [{"input": name, "name": who, "distance": distance} for name, who, distance in found]
        click.echo(json.dumps({"model": answer.model, "threshold": answer.threshold, "rows": listed}, indent=2))
        return
    print_table(
        ("input", "name", f"distance (known: below {answer.threshold:.3f})"),
        [(name, who or "nobody known", f"{distance:.3f}") for name, who, distance in found],
        answer.model,
    )


def _enrolled(client: "Client", version: "VersionInfo", folder: Path, decoding: "Decoding") -> "Gallery":
    from genservice.cli.inputs import read_inputs
    from genservice_client import Gallery

    people = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    if not people:
        raise Failure(f"{folder} has no folders: it takes one for each person, named by the person.")
    gallery = Gallery()
    with progress_bar("Enrolling") as advance:
        for place, person in enumerate(people):
            pictures = sorted(each for each in person.iterdir() if each.is_file() and not each.name.startswith("."))
            if not pictures:
                raise Failure(f"{person} has no pictures.")
            client.enrol(version.name, person.name, read_inputs(pictures, version, decoding)[1], gallery)
            advance(place + 1, len(people), {})
    return gallery
