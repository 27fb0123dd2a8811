"""`genservice predict`: calls a signature of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genservice.cli.arguments import Scalar, existing_file, file_option, model_options, server_option
from genservice.cli.connection import answering_version, connected
from genservice.cli.failures import Failure
from genservice.cli.tables import print_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SHOWN = 6


@click.command("predict")
@click.argument("model")
@click.argument("file", type=existing_file)
@click.option("--signature", default="", help="Name of the signature; where it is not given, the model's default.")
@click.option("--out", type=file_option, help="FILE.npz that gets the outputs, by name.")
@model_options
@server_option
def command(
    model: str,
    file: Path,
    signature: str,
    out: Path | None,
    options: tuple[tuple[str, Scalar], ...],
    server: str,
) -> None:
    """Calls a signature of MODEL with the arrays of FILE, an .npz with an array for each input, `[rows, ...]`."""
    from genservice.cli.inputs import write_arrays

    inputs = _read(file)
    with connected(server) as client:
        version = answering_version(client, model)
        try:
            outputs = client.predict(version.name, inputs, signature=signature, options=dict(options))
        except (TypeError, ValueError) as fault:
            raise Failure(f"{file}: {fault}.") from fault
    rows = [(name, f"{array.dtype} {list(array.shape)}", _shown(array)) for name, array in outputs.items()]
    print_table(("output", "type and shape", "the first row begins"), rows, version.name)
    if out is not None:
        try:
            write_arrays(out, outputs)
        except OSError as fault:
            raise Failure(f"{out} cannot be written: {fault.strerror}.") from fault


def _read(file: Path) -> "dict[str, NDArray[Any]]":
    import numpy as np

    try:
        content = np.load(file)
        if isinstance(content, np.ndarray):
            raise Failure(f"{file} has one array; an .npz has one for each input, by name.")
        with content:
            return dict(content)
    except (OSError, ValueError) as fault:
        raise Failure(f"{file} cannot be read: {fault}.") from fault


def _shown(array: "NDArray[Any]") -> str:
    first = array[0].ravel().tolist()
    numbers = " ".join(f"{number:.4g}" for number in first[:MOST_SHOWN])
    return f"{numbers} …" if len(first) > MOST_SHOWN else numbers
