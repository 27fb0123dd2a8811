"""Three replicas are restarted one after the other under load, and each comes back at another address.

All clients are there at once: the SDK and plain grpcio, over the replicas' name and through Envoy, and two that are set
up badly, which show that this test can fail.
"""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from tests.deploy.network import Network
from tests.deploy.tools import DEPLOY, tool

pytestmark = pytest.mark.deploy

HERE = Path(__file__).parent / "rolling"
SETTINGS = DEPLOY / "base" / "settings.toml"
ENVOYS = (DEPLOY / "envoy" / "envoy.yaml", HERE / "careless.yaml")

NAME = "genservice-replicas"
TARGET = f"dns:///{NAME}:8500"
CLIENTS = {
    "SDK": ["sdk", TARGET],
    "SDK, streams not split": ["sdk", TARGET, "--whole"],
    "SDK through Envoy": ["sdk", "{envoy}:8500"],
    "grpcio": ["plain", TARGET],
    "grpcio, look-ups every 0.5 s": ["plain", TARGET, "--lookup-s", "0.5"],
    "grpcio through Envoy": ["plain", "{envoy}:8500"],
    "SDK at fixed addresses": ["sdk", "{addresses}", "--attempts", "2"],
    "grpcio through careless Envoy": ["plain", "{envoy}:8600"],
}
"""What `load.py` is started with; the last two are the controls."""
LOSSLESS = list(CLIENTS)[:3]
CONTROLS = list(CLIENTS)[-2:]

REPLICAS = 3
SAMPLES = 640
"""Of a stream of `load.py`."""
WAIT_S = 3
"""In place of the drain_wait_s that ships, which is longer: that takes less time, and is harder."""
LEAVE_S = 10
"""Seconds that a drain may take after `WAIT_S`: far fewer than its limit."""
LIMIT_S = 90
"""For anything that is waited for."""


class Service:
    """The replicas, each on a machine of its own, and the addresses that their name has.

    Args:
        network: Has the machines.
        folder: For files.
        stack: Ends what is started.
    """

    def __init__(self, network, folder, stack):
        self.replicas = {}
        self.exits = []
        self.drains_s = []
        self._network = network
        self._stack = stack
        self._store = folder / "store"
        ModelStore([self._store]).publish("drip", lambda _: _MANIFEST)
        self._addresses = folder / "addresses"
        self._name()
        command = [sys.executable, HERE / "names.py", network.name_server, NAME, self._addresses]
        names = network.machine(name_server=True)
        wait_for("listening", stack.enter_context(running(names.start(command, stdout=subprocess.PIPE))).stdout)

    def start(self, count=1):
        """Starts replicas at addresses that none had before; they are in the name once they are ready."""
        started = {}
        for _ in range(count):
            machine = self._network.machine()
            command = [sys.executable, "-m", "genservice", "serve", "--config", SETTINGS, "--store", self._store]
            environment = {
                **os.environ,
                "PYTHONPATH": str(HERE),
                "GENSERVICE_SERVER__DRAIN_WAIT_S": str(WAIT_S),
                "GENSERVICE_ENGINE__WORKERS": '["inline"]',
            }
            replica = machine.start(command, stderr=subprocess.PIPE, env=environment)
            started[machine.address] = self._stack.enter_context(running(replica))
        for replica in started.values():
            wait_for("READY", replica.stderr)
        self.replicas |= started
        self._name()

    def restart(self, address):
        """Ends a replica in good order, and starts another one once it has ended."""
        replica = self.replicas.pop(address)
        begun = time.monotonic()
        replica.terminate()
        self._name()
        self.exits.append(replica.wait(timeout=LIMIT_S))
        self.drains_s.append(time.monotonic() - begun)
        self.start()

    def _name(self):
        draft = self._addresses.with_suffix(".new")
        draft.write_text("\n".join(self.replicas))
        draft.replace(self._addresses)


_MANIFEST = Manifest(
    family="drip",
    plugin="genservice-drip",
    plugin_version="1.0",
    serving=Serving(max_batch_rows=32, batch_sizes=(32,)),
)


@contextmanager
def running(process):
    """Sees to it that a process ends."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(text, pipe):
    """Reads lines of a process until one has the text; what follows is read in the background."""
    lines = []
    for line in pipe:
        lines.append(line)
        if text in line:
            threading.Thread(target=read_on, args=(pipe,), daemon=True).start()
            return
        if "FAILED" in line:
            break
    pytest.fail("a process failed:\n" + "".join(lines[-30:]))


def read_on(pipe):
    with suppress(ValueError):  # it was closed meanwhile
        for _ in pipe:
            pass


@dataclass
class Restarted:
    """How a rolling restart went.

    Args:
        service: The replicas.
        reports: Those of `load.py`, by client.
        seconds: How long it took.
    """

    service: Service
    reports: dict[str, dict]
    seconds: float

    def __str__(self):
        drains = ", ".join(f"{each:.1f}" for each in self.service.drains_s)
        columns = f"{'calls':>6} {'errors':>7} {'streams':>8} {'cut':>5} {'resumed':>8} {'samples':>8} {'wrong':>6}"
        lines = [
            f"Rolling restart of {REPLICAS} replicas in {self.seconds:.0f} s; drains of {drains} s.",
            f"{'client':30} {columns}",
        ]
        for name, each in self.reports.items():
            errors, cuts = sum(each["errors"].values()), sum(each["cuts"].values())
            figures = f"{each['calls']:6} {errors:7} {each['streams']:8} {cuts:5} {each['resumed']:8}"
            lines.append(f"{name:30} {figures} {each['samples']:8} {each['wrong']:6}")
            if errors or cuts:
                lines.append(f"{'':30} errors {each['errors']}, cut by {each['cuts']}")
        return "\n".join(lines)


@pytest.fixture(scope="module")
def restarted(tmp_path_factory):
    envoy = tool("envoy")
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        service = Service(network, tmp_path_factory.mktemp("service"), stack)
        service.start(REPLICAS)
        proxy = network.machine()
        for file in ENVOYS:
            options = ["--disable-hot-restart", "--concurrency", 1, "-c", file]
            process = stack.enter_context(running(proxy.start([envoy, *options], stderr=subprocess.PIPE)))
            wait_for("starting workers", process.stderr)
        names = {"envoy": proxy.address, "addresses": ",".join(f"{address}:8500" for address in service.replicas)}
        clients = {}
        for name, arguments in CLIENTS.items():
            command = [sys.executable, HERE / "load.py", *(each.format(**names) for each in arguments)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            # A caller is an address: on one machine they would share what the service grants a caller.
            clients[name] = stack.enter_context(running(network.machine().start(command, **pipes)))
        for client in clients.values():
            assert client.stdout.readline() == "ready\n"
        begun = time.monotonic()
        for address in list(service.replicas):
            service.restart(address)
        seconds = time.monotonic() - begun
        for client in clients.values():
            client.stdin.close()
        reports = {name: json.loads(client.stdout.read()) for name, client in clients.items()}
        return Restarted(service, reports, seconds)


def test_the_figures_of_all_clients_are_printed_and_show_who_loses_what(restarted, capsys):
    with capsys.disabled():
        print(f"\n\n{restarted}\n")
    assert list(restarted.reports) == list(CLIENTS)
    assert all(report["calls"] > 0 and report["streams"] > 0 for report in restarted.reports.values())
    lost = {name: sum((*each["errors"].values(), *each["cuts"].values())) for name, each in restarted.reports.items()}
    assert {name: lost[name] for name in LOSSLESS} == dict.fromkeys(LOSSLESS, 0)
    assert all(lost[name] > 0 for name in CONTROLS)
    # Whoever neither looks the name up nor goes on with a stream loses more than the SDK: what is lost can be seen.
    assert lost["grpcio"] > 0
    for name, report in restarted.reports.items():
        (row,) = (line for line in str(restarted).splitlines() if line.startswith(f"{name:30} "))
        assert row[30:].split()[:2] == [str(report["calls"]), str(sum(report["errors"].values()))]


def test_each_replica_leaves_in_good_order_though_streams_are_under_way(restarted):
    assert restarted.service.exits == [0] * REPLICAS
    assert all(WAIT_S <= seconds < WAIT_S + LEAVE_S for seconds in restarted.service.drains_s)


@pytest.mark.parametrize("client", LOSSLESS)
def test_the_sdk_loses_no_call_and_every_stream_is_as_if_nothing_had_happened(restarted, client):
    report = restarted.reports[client]
    assert (report["errors"], report["cuts"], report["wrong"]) == ({}, {}, 0)
    assert report["samples"] == SAMPLES * report["streams"]
    assert report["calls"] > 0


def test_streams_were_under_way_when_replicas_left(restarted):
    assert sum(restarted.reports[client]["resumed"] for client in LOSSLESS) >= REPLICAS


@pytest.mark.parametrize("client", CLIENTS)
def test_what_any_client_gets_is_right(restarted, client):
    report = restarted.reports[client]
    assert report["wrong"] == 0
    assert report["samples"] == SAMPLES * (report["streams"] - sum(report["cuts"].values()))


def test_envoy_loses_no_unary_call_of_a_client_that_has_no_retries(restarted):
    assert restarted.reports["grpcio through Envoy"]["errors"] == {}


@pytest.mark.parametrize("client", CONTROLS)
def test_what_is_set_up_badly_loses_some(restarted, client):
    report = restarted.reports[client]
    assert sum(report["errors"].values()) > 0
