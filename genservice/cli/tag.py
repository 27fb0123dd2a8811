"""`genservice tag`: labels the words of sentences, or the positions of other sequences."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import Scalar, json_option, model_options, server_option
from genservice.cli.connection import answering_version, connected
from genservice.cli.failures import Failure
from genservice.cli.tables import print_table

if TYPE_CHECKING:
    from genservice_client import Tagging


@click.command("tag")
@click.argument("model")
@click.argument("sequences", nargs=-1, required=True)
@model_options
@server_option
@json_option
def command(
    model: str, sequences: tuple[str, ...], options: tuple[tuple[str, Scalar], ...], server: str, as_json: bool
) -> None:
    """Labels each position of SEQUENCES with MODEL.

    Each is a sentence, whose words are split at blanks; or a file: .npy with one sequence, an entry a position, or .npz
    with an array for each sequence.
    """
    from genservice.cli.inputs import ARRAYS

    read: list[Any] = []
    for text in sequences:
        read += _arrays(Path(text)) if text.endswith(ARRAYS) else [_words(text)]
    with connected(server) as client:
        version = answering_version(client, model)
        try:
            answer = client.tag(version.name, read, options=dict(options))
        except (TypeError, ValueError) as fault:
            raise Failure(f"{fault}.") from fault
    tokens = [[str(token) for token in _tokens(sequence)] for sequence in read]
    if as_json:
        import json

        rows = [_positions(*each) for each in zip(tokens, answer, strict=True)]
        click.echo(json.dumps({"model": answer[0].model, "rows": rows}, indent=2, ensure_ascii=False))
        return
    for sequence, tagging in zip(tokens, answer, strict=True):
        print_table(
            ("token", "label", "probability"),
            [(row["token"], row["label"], f"{row['probability']:.1%}") for row in _positions(sequence, tagging)],
            tagging.model,
        )


def _words(text: str) -> list[str]:
    words = text.split()
    if not words:
        raise Failure(f"{text!r} has no words.")
    return words


def _arrays(file: Path) -> list[Any]:
    import numpy as np

    try:
        content = np.load(file)
        if isinstance(content, np.ndarray):
            return [content]
        with content:
            return [content[name] for name in content.files]
    except (OSError, ValueError) as fault:
        raise Failure(f"{file} cannot be read: {fault}.") from fault


def _tokens(sequence: Any) -> list[Any]:
    """The words of a sentence; of other sequences the numbers of the positions."""
    return sequence if isinstance(sequence, list) else list(range(len(sequence)))


def _positions(tokens: list[str], tagging: "Tagging") -> list[dict[str, Any]]:
    return [
        {"token": token, "label": label, "probability": probability}
        for token, label, probability in zip(tokens, tagging.labels, tagging.probability.tolist(), strict=True)
    ]
