"""`genservice compare`: says whether two pictures show the same."""

from pathlib import Path

import click

from genservice.cli.arguments import Scalar, existing_file, json_option, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.failures import Failure
from genservice.cli.tables import print_table


@click.command("compare")
@click.argument("model")
@click.argument("first", type=existing_file)
@click.argument("second", type=existing_file)
@question_options
@json_option
def command(
    model: str,
    first: Path,
    second: Path,
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
    as_json: bool,
) -> None:
    """Says whether FIRST and SECOND show the same, in the eyes of MODEL.

    Each is a picture, or an .npy or .npz of rows: as many in both, or one that is compared with all of the other.
    """
    from genservice.cli.inputs import Decoding, read_inputs

    with connected(server) as client:
        version = answering_version(client, model)
        decoding = Decoding(resize=resize, invert=invert)
        (names, inputs), (other_names, others) = (read_inputs([file], version, decoding) for file in (first, second))
        try:
            answer = client.compare(version.name, inputs, others, options=dict(options))
        except ValueError as fault:
            raise Failure(f"{fault}.") from fault
    pairs = max(len(names), len(other_names))
    names, other_names = (each * pairs if len(each) == 1 else each for each in (names, other_names))
    found = list(zip(names, other_names, answer.distances.tolist(), answer.same.tolist(), strict=True))
    if as_json:
        import json

        keys = ("input", "other", "distance", "same")
        rows = [dict(zip(keys, row, strict=True)) for row in found]
        click.echo(json.dumps({"model": answer.model, "threshold": answer.threshold, "rows": rows}, indent=2))
        return
    print_table(
        ("input", "other", f"distance (same: below {answer.threshold:.3f})", ""),
        [(name, other, f"{distance:.3f}", "same" if same else "different") for name, other, distance, same in found],
        answer.model,
    )
