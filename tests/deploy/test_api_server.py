"""A real API server takes every combination: where `KUBEBUILDER_ASSETS` has one, as for envtest."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.deploy.tools import crds, tool

pytestmark = pytest.mark.deploy

START_S = 60


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """`kubectl` for an API server with the CRDs."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", "/nowhere"))
    if not all((assets / name).is_file() for name in ("etcd", "kube-apiserver")):
        pytest.skip("KUBEBUILDER_ASSETS is no folder with etcd and kube-apiserver")
    folder = tmp_path_factory.mktemp("cluster")
    etcd, peer, port = _free_port(), _free_port(), _free_port()
    (folder / "tokens.csv").write_text("token,admin,0,system:masters\n")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "service-accounts.pem").write_bytes(pem)
    store = [
        assets / "etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync",
        f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
    ]  # fmt: skip
    server = [
        assets / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--cert-dir={folder / 'certs'}",
        "--bind-address=127.0.0.1", f"--secure-port={port}", f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-account-issuer=https://127.0.0.1:{port}", "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-key-file={folder / 'service-accounts.pem'}", "--authorization-mode=RBAC",
        f"--service-account-signing-key-file={folder / 'service-accounts.pem'}",
        "--disable-admission-plugins=ServiceAccount",
    ]  # fmt: skip
    login = ["--server", f"https://127.0.0.1:{port}", "--insecure-skip-tls-verify", "--token", "token"]
    processes = []
    try:
        for name, command in (("etcd", store), ("kube-apiserver", server)):
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT))
        kubectl = [tool("kubectl"), *login]
        _wait_for(kubectl, folder / "kube-apiserver.log")
        subprocess.run([*kubectl, "apply", "--server-side", "-f", crds()], check=True, capture_output=True)
        subprocess.run(
            [*kubectl, "wait", "--for=condition=Established", "crd", "--all"], check=True, capture_output=True
        )
        yield kubectl
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=30)


def test_every_combination_is_taken_without_a_warning(kubectl, rendered) -> None:
    for name, file in rendered.files.items():
        # What is in a namespace is looked at only where that exists.
        spaces = [thing for thing in yaml.safe_load_all(file.read_text()) if thing["kind"] == "Namespace"]
        subprocess.run([*kubectl, "apply", "-f", "-"], input=yaml.safe_dump_all(spaces), text=True, check=True)
        done = subprocess.run(
            [*kubectl, "apply", "--dry-run=server", "-f", file], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), name


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(kubectl: list[str], log: Path) -> None:
    end = time.monotonic() + START_S
    while subprocess.run([*kubectl, "get", "--raw", "/readyz"], capture_output=True, check=False).returncode:
        assert time.monotonic() < end, log.read_text()[-4000:]
        time.sleep(1)
