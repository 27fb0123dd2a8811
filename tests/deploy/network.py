"""Machines of a small network: each is a network namespace with an address of its own, on one bridge."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.tools import tool

SUBNET = "10.77.0"
RESOLVERS = Path("/etc/netns")
"""`ip netns exec` lays the files in the folder of a namespace over those in /etc."""

_networks = itertools.count()


class Machine:
    """A namespace with one address.

    Args:
        namespace: Its name.
        address: Its IPv4 address.
    """

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    def start(self, command: Sequence[object], **settings: Any) -> subprocess.Popen[str]:
        """Starts a program there, as `subprocess.Popen` does; its process is the program itself."""
        here = ["ip", "netns", "exec", self.namespace]
        return subprocess.Popen([*here, *map(str, command)], text=True, **settings)


class Network(AbstractContextManager["Network"]):
    """The machines, until it is left.

    The first address is for the name server, which all machines ask.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("network namespaces are made by root alone")
        tool("ip")
        self._prefix = f"gs{os.getpid()}-{next(_networks)}"
        self._switch = f"{self._prefix}-switch"
        self._made = ExitStack()
        self._numbers = itertools.count(2)

    def __enter__(self) -> "Network":
        try:
            self._make(self._switch)
            _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "bridge", "up")
        except subprocess.CalledProcessError as failure:
            self._made.close()
            pytest.skip(f"no network namespaces here: {failure.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    @property
    def name_server(self) -> str:
        """Address that all machines ask for names."""
        return f"{SUBNET}.1"

    def machine(self, *, name_server: bool = False) -> Machine:
        """Adds a machine, with an address that none had before."""
        number = 1 if name_server else next(self._numbers)
        namespace, address, port = f"{self._prefix}-{number}", f"{SUBNET}.{number}", f"port{number}"
        self._make(namespace)
        resolver = RESOLVERS / namespace / "resolv.conf"
        resolver.parent.mkdir(parents=True)
        self._made.callback(shutil.rmtree, resolver.parent)
        resolver.write_text(f"nameserver {self.name_server}\noptions timeout:1 attempts:3\n")
        ends = ("link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", port, "netns", self._switch)
        _ip(*ends)
        _ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", link, "up")
        return Machine(namespace, address)

    def _make(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self._made.callback(_ip, "netns", "delete", namespace)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
