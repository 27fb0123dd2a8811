"""A real server process with the models that ship, and a proxy that cuts connections."""

import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from genservice.plugin_host import PluginHost
from genservice.store.store import ModelStore

MODELS = frozenset({"fashion-gan", "fashion-cnn", "fashion-diffusion", "fashion-logistic", "shakespeare"})
"""Those of the models that ship which most tests call; all of them together take a minute to load."""
LIMIT_S = 120
POLL_S = 0.05

DATA, HEADERS = 0, 1
"""Types of HTTP/2 frames (RFC 9113, section 6); those of other types, such as PING, belong to no call."""
END_STREAM = 1
FRAME_HEAD_BYTES = 9
BEFORE_STATUS = object()
"""A limit of `CuttingProxy`: all of a call but its trailers, which have the status."""


@dataclass
class ServerProcess:
    process: subprocess.Popen
    address: str = ""
    http: str = ""
    admin: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def resident_bytes(self):
        """Memory of the server and of its workers."""
        return sum(process.memory_info().rss for process in (psutil.Process(self.process.pid), *self.workers()))

    @property
    def workers_bytes(self):
        return sum(worker.memory_info().rss for worker in self.workers())

    def workers(self):
        """The worker processes that live."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]

    def metric(self, name, **labels):
        """The value of a metric, summed over the series that have the labels."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=LIMIT_S) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            found = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in found if labels.items() <= sample.labels.items())

    def wait_for(self, condition):
        """Waits until a condition on what the server shows is true."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(POLL_S)


@contextmanager
def serving(listen="127.0.0.1:0", *, models=MODELS, arguments=(), environment=None):
    """`genservice serve` with its ports, once its models are ready; it ends well, or was killed.

    Args:
        listen: Where.
        models: Which models to wait for.
        arguments: More arguments.
        environment: More variables.
    """
    ports = ["--listen", listen, "--http-listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "genservice", "serve", *ports, *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    running = ServerProcess(process)
    ready = set()
    for line in process.stderr:
        running.log.append(line)
        if listening := re.search(r"grpc=(\S+) http=(\S+)", line):
            running.address, running.http = listening.groups()
            running.admin = (re.search(r"admin=(\S*:\d+)", line) or ["", ""])[1]
        if "state=READY" in line:
            ready.add(re.search(r"model=(\S+)", line)[1])
        if ready >= set(models):
            break
    else:
        pytest.fail("the server ended:\n" + "".join(running.log))
    drain = threading.Thread(target=lambda: running.log.extend(process.stderr), daemon=True)
    drain.start()
    try:
        yield running
    finally:
        process.terminate()
        assert process.wait(timeout=LIMIT_S) in (0, -signal.SIGKILL)
        drain.join(timeout=10)
        process.stderr.close()


@pytest.fixture(scope="session")
def some_models(tmp_path_factory):
    """A store with the models that most tests call."""
    folder = tmp_path_factory.mktemp("models")
    for shipped in map(ModelStore, ([store] for store in PluginHost.discover().stores)):
        for model in MODELS.intersection(shipped.models()):
            shutil.copytree(shipped.directory(model, 1).parent, folder / model)
    return folder


@pytest.fixture(scope="session")
def server(some_models):
    with serving(arguments=["--store", some_models]) as running:
        yield running


@pytest.fixture
def another_server(some_models):
    """Starts a further server process: `with another_server() as running`; of these models, or of other arguments."""

    def start(listen="127.0.0.1:0", *, arguments=("--store", some_models), **more):
        return serving(listen, arguments=arguments, **more)

    return start


class CuttingProxy:
    """Forwards connections to a server, and cuts each after a number of bytes of calls from the server.

    What counts are the payloads of frames with headers, messages and trailers: unlike the bytes of a connection, whose
    pings depend on time, they are the same in each run of the same calls.

    Args:
        target: `host:port` of the server.
        limits: After how many bytes each connection is cut, in the order of the connections, or `BEFORE_STATUS`; later
            ones are left whole.
    """

    def __init__(self, target, limits=()):
        host, port = target.rsplit(":", 1)
        self.cuts = 0
        self.call_bytes = 0
        self._target = (host, int(port))
        self._limits = list(limits)
        self._open = ExitStack()
        self._threads = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._open.close()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the listener was closed
            limit = self._limits.pop(0) if self._limits else None
            server = socket.create_connection(self._target)
            for end in (client, server):
                self._open.callback(self._close, end)
            self._start(self._forward, client, server, self._pass_requests)
            self._start(self._forward, server, client, lambda *ends, limit=limit: self._pass_responses(*ends, limit))

    def _forward(self, source, sink, forward):
        # OSError: the other direction closed both ends.
        with suppress(OSError):
            forward(source, sink)
        self._close(source)
        self._close(sink)

    @staticmethod
    def _pass_requests(client, server):
        while data := client.recv(65536):
            server.sendall(data)

    def _pass_responses(self, server, client, limit):
        left = math.inf if limit in (None, BEFORE_STATUS) else limit
        with server.makefile("rb") as frames:
            while left > 0:
                head = frames.read(FRAME_HEAD_BYTES)
                if len(head) < FRAME_HEAD_BYTES:
                    return
                kind, flags = head[3], head[4]
                if limit is BEFORE_STATUS and kind == HEADERS and flags & END_STREAM:
                    break
                payload = frames.read(int.from_bytes(head[:3]))
                if kind in (DATA, HEADERS):
                    payload = payload[: min(len(payload), left)]
                    left -= len(payload)
                    self.call_bytes += len(payload)
                client.sendall(head + payload)
        self.cuts += 1

    @staticmethod
    def _close(end):
        with suppress(OSError):  # it was closed before
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def cutting_proxy(server):
    """Makes a proxy in front of the server."""
    return lambda limits=(): CuttingProxy(server.address, limits)


@pytest.fixture
def before_status():
    """The limit of a proxy that lets all of a call pass but its status."""
    return BEFORE_STATUS
