"""A real server process with the models that ship, and a proxy that cuts connections."""

import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import psutil
import pytest


@dataclass
class ServerProcess:
    process: subprocess.Popen
    address: str
    log: list[str] = field(default_factory=list)

    @property
    def resident_bytes(self):
        return psutil.Process(self.process.pid).memory_info().rss


@pytest.fixture(scope="session")
def server():
    """`genservice serve` with no arguments but free ports, once its models are ready."""
    command = [sys.executable, "-m", "genservice", "serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    running = ServerProcess(process, "")
    ready = set()
    for line in process.stderr:
        running.log.append(line)
        if listening := re.search(r"grpc=(\S+)", line):
            running.address = listening[1]
        if "state=READY" in line:
            ready.add(re.search(r"model=(\S+)", line)[1])
        if ready >= {"fashion-gan", "fashion-cnn", "fashion-logistic"}:
            break
    else:
        pytest.fail("the server ended:\n" + "".join(running.log))
    drain = threading.Thread(target=lambda: running.log.extend(process.stderr), daemon=True)
    drain.start()
    yield running
    process.terminate()
    assert process.wait(timeout=60) == 0
    drain.join(timeout=10)
    process.stderr.close()


class CuttingProxy:
    """Forwards connections to a server, and cuts each after a number of bytes from the server.

    Args:
        target: `host:port` of the server.
        limits: Bytes after which each connection is cut, in the order of the connections; later ones are left whole.
    """

    def __init__(self, target, limits=()):
        host, port = target.rsplit(":", 1)
        self.cuts = 0
        self.passed_bytes = 0
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
            self._start(self._forward, client, server, None)
            self._start(self._forward, server, client, limit)

    def _forward(self, source, sink, limit):
        passed = 0
        try:
            while limit is None or passed < limit:
                data = source.recv(65536 if limit is None else min(65536, limit - passed))
                if not data:
                    break
                sink.sendall(data)
                passed += len(data)
                if source.getpeername() == self._target:
                    self.passed_bytes += len(data)
            else:
                self.cuts += 1
        except OSError:
            pass  # the other direction closed both ends
        self._close(source)
        self._close(sink)

    @staticmethod
    def _close(end):
        with suppress(OSError):  # it was closed before
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def cutting_proxy(server):
    """Makes a proxy in front of the server."""
    return lambda limits=(): CuttingProxy(server.address, limits)
