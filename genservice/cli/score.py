"""`genservice score`: gives the log probability of inputs."""

from pathlib import Path

import click

from genservice.cli.arguments import Scalar, files_argument, json_option, question_options
from genservice.cli.connection import answering_version, connected
from genservice.cli.tables import print_table


@click.command("score")
@click.argument("model")
@files_argument
@question_options
@json_option
def command(
    model: str,
    files: tuple[Path, ...],
    resize: bool,
    invert: bool,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
    as_json: bool,
) -> None:
    """Gives log p(x) of FILES under MODEL, in nats."""
    from genservice.cli.inputs import Decoding, read_inputs

    with connected(server) as client:
        version = answering_version(client, model)
        names, rows = read_inputs(files, version, Decoding(resize=resize, invert=invert))
        answer = client.score(version.name, rows, options=dict(options))
    found = list(zip(names, answer.log_prob.tolist(), strict=True))
    if as_json:
        import json

        listed = [{"input": name, "log_prob": log_prob} for name, log_prob in found]
        click.echo(json.dumps({"model": answer.model, "kind": answer.kind.value, "rows": listed}, indent=2))
        return
    kind = answer.kind.value.lower().replace("_", " ")
    print_table(("input", f"log p(x), {kind}"), [(name, f"{log_prob:.3f}") for name, log_prob in found], answer.model)
