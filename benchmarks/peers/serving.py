"""Runs a peer with the logistic regression that genservice serves, in NumPy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.bench import SkipFigure
from benchmarks.h2load import Call
from benchmarks.peers.environments import Peer
from benchmarks.processes import Server, running

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@contextmanager
def peer_server(
    peer: Peer, kernel: Any, bias: Any, row: Any, probabilities: Any, *settings: str
) -> Iterator[tuple[Server, Call]]:
    """The peer, once it gives the same probabilities.

    Args:
        peer: Which.
        kernel: float32 `[784, 10]`.
        bias: float32 `[10]`.
        row: float32 `[784]`, what it is asked.
        probabilities: float32 `[10]`, what it has to answer.
        settings: Further arguments of its script; none: those that were fastest.

    Yields:
        The server, and the call that asks for this row.

    Raises:
        SkipFigure: It is not installed.
    """
    if not peer.installed:
        raise SkipFigure(f"{peer.requirement} is not installed in {peer.folder} (`make bench-peers`)")
    script = Path(__file__).parent / f"{peer.name}_server.py"
    with TemporaryDirectory(prefix="bench-") as folder:
        arrays, request = Path(folder, "arrays.npz"), Path(folder, "request")
        np.savez(arrays, kernel=kernel, bias=bias, row=row, probabilities=probabilities)
        with running(
            [str(peer.python), str(script), str(arrays), str(request), *settings], peer.environment()
        ) as child:
            ready = child.wait_for_line(r"^ready (\S+) (\d+)$")
            yield Server(ready[1], child), Call(ready[1], METHOD, request.read_bytes(), int(ready[2]))
