"""A pod without a cluster: the init container, the server, its end; not as root, read-only, with no capabilities."""

import os
import re
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from authority import Authority
from grpc_health.v1 import health_pb2, health_pb2_grpc

from genservice_client import Client, RetryPolicy, Tls, UnavailableError
from tests.deploy.containers import run
from tests.deploy.pods import Pod, Running, serving

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]

READY_S = 120
SOON = {"GENSERVICE_SERVER__DRAIN_WAIT_S": "0.2"}
WRONG = f"genservice-wrong-{os.getpid()}"
"""Name of containers that should end by themselves."""


@pytest.fixture(scope="module")
def pod(image, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    """A pod whose init container has run."""
    return filled(Pod.make(tmp_path_factory.mktemp("pod")))


@pytest.fixture(scope="module")
def server(pod):
    """A server that is ready."""
    with serving(pod, SOON) as running, grpc.insecure_channel(running.address) as channel:
        wait_until_ready(channel)
        yield running


def filled(pod: Pod) -> Pod:
    """Runs the init container."""
    done = run(*pod.command("models"))
    assert "models/fashion-gan/versions/1 was copied" in done.stdout
    return pod


def wait_until_ready(channel: grpc.Channel) -> None:
    """Waits as Kubernetes' probes do, for the empty service name."""
    request = health_pb2.HealthCheckRequest()
    watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=READY_S, wait_for_ready=True)
    for answer in watch:
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            break
    watch.cancel()


def test_a_server_is_ready_and_serves_a_sample(server) -> None:
    assert server.page("/livez") == "alive"
    assert server.page("/readyz") == "ready"
    assert "genservice_model_state" in server.page("/metrics")
    with Client(server.address) as client:
        samples = client.sample("fashion-gan", 3, seed=7, label="boot").all()
    assert samples.to_numpy().shape == (3, 28, 28, 1)


def test_a_server_has_no_rights(server) -> None:
    status = dict(line.split(":\t", 1) for line in server.run("cat", "/proc/1/status").splitlines())
    assert status["Uid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    folders = "/ /models /etc/genservice /opt/genservice /opt/plugins /tmp"
    script = f"for folder in {folders}; do touch $folder/x 2>/dev/null && echo $folder; done; true"
    assert server.run("sh", "-c", script) == "/tmp"


def test_sigterm_ends_a_stream_behind_a_whole_chunk_and_the_process_with_0(server, pod) -> None:
    indexes: list[int] = []
    with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
        chunks = iter(client.sample("fashion-gan", 100_000, seed=1, chunk_rows=64))
        indexes.extend(next(chunks).indexes)
        run("podman", "kill", "--signal", signal.SIGTERM.name, server.name)
        # There is no other replica for the rest.
        with pytest.raises(UnavailableError):
            indexes.extend(index for chunk in chunks for index in chunk.indexes)
    assert indexes == list(range(len(indexes)))
    assert 64 <= len(indexes) < 100_000
    assert server.process.wait(timeout=60) == 0
    assert [line["event"] for line in server.log if line["event"] in ("draining", "drained")] == ["draining", "drained"]
    assert pod.message == ""


@pytest.mark.parametrize(
    ("container", "environment", "message"),
    [
        ("genservice", {"GENSERVICE_STORE": "/nowhere"}, "The setting store: /nowhere is not a folder."),
        ("genservice", {"GENSERVICE_STORE": "/locked"}, "/locked cannot be read: Permission denied."),
        ("genservice", {"GENSERVICE_SERVER__LISTN": "x"}, "There is no setting 'server.listn'"),
        ("genservice", {"GENSERVICE_SERVER__TLS__CERTIFICATE": "/a"}, "The setting server.tls.private_key"),
        ("genservice", {"GENSERVICE_ENGINE__WORKERS": '["GPU:0"]'}, "GPU:0"),
        ("genservice", {"GENSERVICE_SERVER__LISTEN": "192.0.2.1:8500"}, "The setting listen, 192.0.2.1:8500"),
    ],
    ids=["no store", "unreadable store", "unknown setting", "missing setting", "no GPU", "address of another"],
)
def test_what_is_wrong_ends_it_and_is_one_line_in_the_termination_log(
    pod, tmp_path_factory, container, environment, message
) -> None:
    (pod.folder / "termination-log").write_text("")
    locked = tmp_path_factory.mktemp("locked")
    locked.chmod(0o700)
    listen = {"GENSERVICE_SERVER__LISTEN": "127.0.0.1:0", "GENSERVICE_SERVER__HTTP_LISTEN": "127.0.0.1:0"}
    options = ("--name", WRONG, "--volume", f"{locked}:/locked:ro")
    try:
        done = run(*pod.command(container, *options, environment=listen | environment), check=False, timeout=60)
        assert done.returncode in (1, 2)
        assert message in pod.message
        assert pod.message.count("\n") == 1
    finally:
        run("podman", "rm", "--force", "--ignore", WRONG)
        (pod.folder / "termination-log").write_text("")


@contextmanager
def damaged(pod: Pod, change: Callable[[bytes], bytes]) -> Iterator[Path]:
    """Another content in the weights of `fashion-gan`; afterwards they are as before."""
    weights = next((pod.folder / "models/fashion-gan/1").glob("*.safetensors"))
    content = weights.read_bytes()
    weights.chmod(0o644)
    try:
        weights.write_bytes(change(content))
        yield weights
    finally:
        weights.write_bytes(content)
        (pod.folder / "termination-log").write_text("")


def test_models_that_are_damaged_end_the_init_container_with_the_reason(pod) -> None:
    with damaged(pod, lambda content: content[:-1]) as weights:
        done = run(*pod.command("models"), check=False)
        assert done.returncode == 1
        assert re.search(rf"^/models/fashion-gan/1/{weights.name} has \d+ bytes", pod.message)
        assert pod.message.count("\n") == 1


def test_a_version_that_is_damaged_in_the_volume_is_refused_and_the_others_are_served(pod) -> None:
    # A bit of the last weight: the size, and what the file says of itself, are right.
    with damaged(pod, lambda content: content[:-1] + bytes([content[-1] ^ 1])) as weights, serving(pod, SOON) as server:
        with grpc.insecure_channel(server.address) as channel:
            wait_until_ready(channel)
        with Client(server.address) as client:
            versions = {model.name: model.versions[0] for model in client.models()}
            samples = client.sample("iris-mixture", 3, seed=7).all()
    failed = versions.pop("models/fashion-gan")
    assert failed.state == "FAILED"
    assert f"/models/fashion-gan/1/{weights.name} has another SHA-256 than its model.toml says" in failed.reason
    assert {version.state for version in versions.values()} == {"READY"}
    assert len(samples.to_numpy()) == 3


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def encrypted(image, authority, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    """A pod of the component tls whose init container has run, with its Secret."""
    pod = filled(Pod.make(tmp_path_factory.mktemp("encrypted"), "tls"))
    pod.write_secret("tls", secret_of(authority))
    return pod


def secret_of(authority: Authority) -> dict[str, bytes]:
    """What cert-manager writes into the Secret, with a new certificate."""
    certificate, key = authority.issue("genservice")
    files = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.certificate}
    return {name: file.read_bytes() for name, file in files.items()}


def shown_by(server: Running) -> str:
    """The certificate that a server shows, as PEM."""
    host, _, port = server.address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


def test_with_tls_only_certified_clients_are_served_and_a_new_certificate_counts_after_a_restart(
    encrypted, authority
) -> None:
    certificate, key = authority.issue("client")
    trusted = authority.certificate
    tls = Tls(root_certificates=trusted, certificate_chain=certificate, private_key=key)
    first = (encrypted.folder / "tls/tls.crt").read_text()
    with serving(encrypted, SOON) as server:
        with grpc.secure_channel(server.address, tls.credentials()) as channel:
            wait_until_ready(channel)
        # What the probes of the component ask.
        assert server.page("/readyz") == "ready"
        with Client(server.address, tls=tls) as client:
            assert client.sample("fashion-gan", 3, seed=7).all().to_numpy().shape == (3, 28, 28, 1)
        for refused in (None, Tls(root_certificates=trusted)):
            client = Client(server.address, tls=refused, retry=RetryPolicy(max_attempts=1))
            with client, pytest.raises(UnavailableError):
                client.models()
        encrypted.write_secret("tls", secret_of(authority))
        second = (encrypted.folder / "tls/tls.crt").read_text()
        assert first != second
        assert shown_by(server) == first
    with serving(encrypted, SOON) as server:
        with grpc.secure_channel(server.address, tls.credentials()) as channel:
            grpc.channel_ready_future(channel).result(timeout=READY_S)
        assert shown_by(server) == second


def test_a_certificate_that_the_pod_may_not_read_ends_it_with_the_reason(encrypted) -> None:
    key = encrypted.folder / "tls/tls.key"
    mode = key.stat().st_mode
    key.chmod(0o400)  # root's alone
    try:
        done = run(*encrypted.command("genservice", "--name", WRONG), check=False, timeout=60)
        assert done.returncode == 2
        assert "/etc/genservice-tls/tls.key, cannot be used: [Errno 13] Permission denied" in encrypted.message
        assert encrypted.message.count("\n") == 1
    finally:
        key.chmod(mode)
        run("podman", "rm", "--force", "--ignore", WRONG)
