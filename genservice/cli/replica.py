"""One replica as a process of its own: `genservice serve` as it is deployed, with one model."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from genservice.cli.failures import Failure

LOOK_S = 0.1
"""Seconds between two looks whether it is ready."""
PAGE_LIMIT_S = 10.0
END_LIMIT_S = 60.0
"""Seconds that it has to drain, before it is killed."""


@dataclass(frozen=True, slots=True)
class Replica:
    """Where a replica listens.

    Args:
        address: Address of its gRPC services.
        metrics_url: Address of its metrics.
    """

    address: str
    metrics_url: str


@contextmanager
def running_replica(model: str, stores: Sequence[Path], config: Path | None = None) -> Iterator[Replica]:
    """Runs `genservice serve` with free ports and one model, so that nothing else takes of the machine.

    Args:
        model: Name of the model.
        stores: Folders of models; the first that has it counts.
        config: File of settings.

    Yields:
        The replica, once its model is ready or has failed.

    Raises:
        Failure: No store has the model, or the process ended at once; with the reason.
    """
    folder = next((store.resolve() / model for store in stores if (store / model).is_dir()), None)
    if folder is None:
        raise Failure(f"No store has the model {model!r}.")
    with TemporaryDirectory(prefix="genservice-bench-") as scratch:
        store, log = Path(scratch, "store"), Path(scratch, "log")
        # A copy: the store takes no link out of its folder.
        shutil.copytree(folder, store / model)
        ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
        command = [sys.executable, "-m", "genservice", "serve", *ports, "--log-format", "json", "--log-level", "info"]
        command += ["--store", str(store), *(["--config", str(config.resolve())] if config is not None else [])]
        with log.open("wb") as written:
            process = subprocess.Popen(command, stderr=written)
        try:
            replica = _listening(process, log)
            _wait_until_settled(process, replica)
            yield replica
        finally:
            _end(process)


def read_page(url: str) -> str:
    """Reads a page over HTTP.

    Args:
        url: Its address.

    Raises:
        OSError: It cannot be read, or the answer is no success.
    """
    try:
        with urllib.request.urlopen(url, timeout=PAGE_LIMIT_S) as answer:  # noqa: S310 - an address that the user gave
            return str(answer.read().decode())
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise OSError(f"HTTP status {refusal.code}") from None


def _listening(process: "subprocess.Popen[bytes]", log: Path) -> Replica:
    """Waits until the log tells the addresses."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == "listening":
                    return Replica(entry["grpc"], f"http://{entry['http']}/metrics")
        time.sleep(LOOK_S)
    last = (log.read_text().strip() or "it said nothing").splitlines()[-1]
    raise Failure(f"`genservice serve` ended: {last}")


def _wait_until_settled(process: "subprocess.Popen[bytes]", replica: Replica) -> None:
    """Waits until the model is ready or has failed: the service is ready then."""
    page = replica.metrics_url.removesuffix("/metrics") + "/readyz"
    while process.poll() is None:
        with suppress(OSError):
            read_page(page)
            return
        time.sleep(LOOK_S)
    raise Failure("`genservice serve` ended while it loaded the model.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Lets it drain, and makes it end where that takes too long."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
