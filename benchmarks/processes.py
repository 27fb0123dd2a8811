"""Servers as child processes that end with the benchmark, and what they use of the machine."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

START_LIMIT_S = 300.0
END_LIMIT_S = 30.0
POLL_S = 0.05
TAIL_CHARACTERS = 2000

T = TypeVar("T")


@dataclass(frozen=True)
class Child:
    """A process, its children, and what they have written.

    Args:
        process: The process.
        log: File of its standard output and standard error.
    """

    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Processor time of all processes so far."""
        times = (_or(each.cpu_times, None) for each in self._tree())
        return sum(each.user + each.system for each in times if each is not None)

    def resident_bytes(self) -> int:
        """Resident memory of all processes; pages that they share count in each."""
        return sum(_or(lambda each=each: each.memory_info().rss, 0) for each in self._tree())

    def wait_for(self, condition: Callable[[], T | None]) -> T:
        """Waits until a condition gives something.

        Raises:
            RuntimeError: The process has ended, or it takes too long; with the end of its log.
        """
        end = time.monotonic() + START_LIMIT_S
        while not (given := condition()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.process.args} is not ready:\n{self.text()[-TAIL_CHARACTERS:]}")
            time.sleep(POLL_S)
        return given

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Waits until the process has written a line."""
        return self.wait_for(lambda: re.search(pattern, self.text(), re.MULTILINE))

    def wait_until_idle(self, *, window_s: float = 0.3, most_busy: float = 0.1) -> None:
        """Waits until the processes use hardly any of a processor."""
        for _ in range(50):
            before = self.cpu_s()
            time.sleep(window_s)
            if self.cpu_s() - before <= most_busy * window_s:
                return

    def text(self) -> str:
        """All that the process has written."""
        return self.log.read_text(errors="replace")

    def _tree(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Args:
        address: `HOST:PORT` of its gRPC services.
        child: The process.
    """

    address: str
    child: Child


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Runs a command. At the end it is asked to end, then made to, with all that it has started."""
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        child = Child(process, Path(log.name))
        try:
            yield child
        except Exception as error:
            ended = process.poll()
            error.add_note(f"{command[1:4]} {'runs' if ended is None else f'ended with {ended}'}; its last words:")
            error.add_note(child.text()[-TAIL_CHARACTERS:])
            raise
        finally:
            _end(child)


@contextmanager
def genservice_server(
    stores: Sequence[Path], *, inline: bool = False, plugins: Sequence[Path] = ()
) -> Iterator[Server]:
    """`genservice serve` as it ships, once all models are ready.

    Args:
        stores: Folders of models.
        inline: Whether models run in a thread of the server; else in a worker process, as is the default.
        plugins: Folders of further plugins.
    """
    command = [sys.executable, "-m", "genservice", "serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    for store in stores:
        command += ["--store", str(store)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if inline:
        environment["GENSERVICE_ENGINE__WORKERS"] = '["inline"]'
    if plugins:
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, plugins), os.environ.get("PYTHONPATH", "")]).strip(":")
    with running(command, environment) as child:
        listening = child.wait_for_line(r"grpc=(\S+) http=(\S+)")
        child.wait_for(lambda: _answers(f"http://{listening[2]}/readyz"))
        if failed := re.findall(r"^.*state=FAILED.*$", child.text(), re.MULTILINE):
            raise RuntimeError("models are not ready:\n" + "\n".join(failed))
        yield Server(listening[1], child)


@contextmanager
def floor_server() -> Iterator[Server]:
    """A bare grpc.aio server; see `benchmarks.floor`."""
    with running([sys.executable, "-m", "benchmarks.floor"]) as child:
        yield Server(child.wait_for_line(r"^listening on (\S+)$")[1], child)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _end(child: Child) -> None:
    tree = child._tree()
    child.process.send_signal(signal.SIGTERM)
    try:
        child.process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
    # What it has left behind, such as Triton's own process.
    _, left = psutil.wait_procs(tree, timeout=2)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=END_LIMIT_S)


def _or(call: Callable[[], T], otherwise: T) -> T:
    """What a call gives, or something else where the process has just ended."""
    try:
        return call()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return otherwise
