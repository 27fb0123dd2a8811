"""The server as shipped, and a bare server that is the floor of what Python's gRPC costs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def genservice_server() -> Iterator[str]:
    """`genservice serve` with the models that ship; gives its address once all are settled."""
    ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    with _running([sys.executable, "-m", "genservice", "serve", *ports]) as process:
        address, settled = "", set()
        for line in process.stderr:
            if listening := re.search(r"grpc=(\S+)", line):
                address = listening[1]
            if model := re.search(r"model=(\S+) state=(READY|FAILED)", line):
                settled.add(model[1])
            if len(settled) == 3:
                break
        # From here on the log goes on as shipped, to a reader that drops it.
        with subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL):
            yield address


@contextmanager
def echo_server() -> Iterator[str]:
    """A grpc.aio server that decodes a ClassifyRequest and answers with one ClassifyResponse, always the same."""
    with _running([sys.executable, "-m", "benchmarks.echo"]) as process:
        yield process.stderr.readline().strip()


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)
