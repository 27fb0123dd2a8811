"""Load of prepared unary gRPC calls, made by h2load (Debian `nghttp2-client`): the client costs as little as it can."""

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import SkipFigure

FRAME_HEAD_BYTES = 5
_NOT_COMPRESSED = b"\0"
_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Call:
    """A unary call, prepared.

    Args:
        address: `HOST:PORT` of the server.
        path: Path of the method.
        request: The request, serialized.
        response_bytes: Bytes of the response, serialized, which is always the same.
    """

    address: str
    path: str
    request: bytes
    response_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What h2load has told.

    Args:
        seconds: How long it took.
        succeeded: Calls that came to an end.
        ok: Calls whose HTTP status was 2xx.
        received_bytes: Payload of the DATA frames that came: the responses, with their gRPC frames.
    """

    seconds: float
    succeeded: int
    ok: int
    received_bytes: int


def frame(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, with its length before it."""
    return _NOT_COMPRESSED + len(message).to_bytes(FRAME_HEAD_BYTES - 1) + message


def load(call: Call, *, count: int, in_flight: int) -> Report:
    """Makes calls over one connection.

    Raises:
        SkipFigure: h2load is not installed.
        RuntimeError: A call failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        return parse_report(_run(call, count, in_flight, Path(folder)), call, count)


def median_latency_s(call: Call, *, count: int) -> float:
    """Makes calls one at a time, and gives the median time of one."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "calls.tsv")
        parse_report(_run(call, count, 1, Path(folder), f"--log-file={log}"), call, count)
        return statistics.median(parse_log(log.read_text().splitlines()))


def parse_report(output: str, call: Call, count: int) -> Report:
    """Reads h2load's output, and checks that every call was answered.

    A gRPC error is an HTTP success without a message, so the bytes that came are what tells.

    Raises:
        RuntimeError: One was not.
    """
    finished = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", output)
    succeeded = re.search(r"(\d+) succeeded", output)
    status = re.search(r"status codes: (\d+) 2xx", output)
    received = re.search(r"\((\d+)\) data", output)
    if not (finished and succeeded and status and received):
        raise RuntimeError(f"h2load has told nothing that can be read:\n{output}")
    seconds = float(finished[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[finished[2]]
    report = Report(seconds, int(succeeded[1]), int(status[1]), int(received[1]))
    if (report.succeeded, report.ok) != (count, count):
        raise RuntimeError(f"of {count} calls {min(report.succeeded, report.ok)} succeeded:\n{output}")
    expected = count * (FRAME_HEAD_BYTES + call.response_bytes)
    if report.received_bytes != expected:
        raise RuntimeError(f"{report.received_bytes} bytes came where {expected} should: calls failed:\n{output}")
    return report


def parse_log(lines: Iterable[str]) -> list[float]:
    """Seconds of each call, of h2load's log: start in microseconds, HTTP status, microseconds."""
    return [int(line.split("\t")[2]) / 1e6 for line in lines]


def _run(call: Call, count: int, in_flight: int, folder: Path, *more: str) -> str:
    if not (program := shutil.which("h2load")):
        raise SkipFigure("h2load is not installed (Debian: nghttp2-client)")
    body = folder / "request"
    body.write_bytes(frame(call.request))
    command = [program, "-n", str(count), "-c", "1", "-t", "1", "-m", str(in_flight), "-d", str(body), *more]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{call.address}{call.path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return done.stdout + done.stderr
