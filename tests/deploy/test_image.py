"""The image is built, and runs as the manifests say: not as root, read-only, with no capabilities."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from genservice_client import Client, UnavailableError
from tests.deploy.containers import (
    BASE,
    IMAGE,
    PLUGINS,
    PODMAN,
    ULIMITS,
    Pod,
    build,
    make_base,
    need_container_tools,
    run,
)
from tests.deploy.tools import DEPLOY, ROOT, tool

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]

READY_S = 120
WRONG = f"genservice-wrong-{os.getpid()}"
"""Name of containers that should end by themselves."""
FILES = ("Dockerfile", "plugin.Dockerfile")

PLUGIN = {
    "pyproject.toml": """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "genservice-dice"
        version = "0.1.0"
        dependencies = ["genservice"]
        [project.entry-points."genservice.plugins"]
        dice = "genservice_dice"
        [tool.hatch.build.targets.wheel]
        only-include = ["genservice_dice.py"]
    """,
    "genservice_dice.py": """
        from genservice import Generator, TensorSpec, hookimpl

        class Dice(Generator):
            family = "dice"
            event = TensorSpec((), "int64")

            def load(self, directory):
                pass

            def sample(self, noise, options, conditions):
                return noise.uniform("roll")

        @hookimpl
        def genservice_register_families():
            return [Dice]
    """,
}


@dataclass
class Running:
    """A server in a container.

    Args:
        name: Name of the container.
        process: Podman.
        address: Address of the gRPC services.
        http: Address of the HTTP port.
        log: What it logged.
    """

    name: str
    process: subprocess.Popen
    address: str
    http: str
    log: list[dict] = field(default_factory=list)

    def run(self, *command: str) -> str:
        """What a command prints in the container; empty where it fails."""
        return run("podman", "exec", self.name, *command, check=False).stdout.strip()

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
            return answer.read().decode().strip()


@pytest.fixture(scope="module")
def image() -> str:
    need_container_tools()
    make_base()
    start = time.monotonic()
    arguments = ("--build-arg", f"BASE={BASE}", "--build-arg", f"PLUGINS={PLUGINS}", "--build-arg", "REVISION=abc123")
    build(DEPLOY / "image/Dockerfile", ROOT, IMAGE, "--target", "cpu", *arguments)
    size = json.loads(run("podman", "image", "inspect", IMAGE).stdout)[0]["Size"]
    print(f"built in {time.monotonic() - start:.0f} s, {size / 1e6:.0f} MB with the plugins {PLUGINS}")
    return IMAGE


@pytest.fixture(scope="module")
def pod(image, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    """A pod whose init container has run."""
    folder = tmp_path_factory.mktemp("pod")
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == 0 and parent.name.startswith("pytest"):
            parent.chmod(0o755)
    pod = Pod.make(folder)
    done = run(*pod.command("models"))
    assert "models/fashion-gan/versions/1 was copied" in done.stdout
    return pod


@pytest.fixture(scope="module")
def server(pod):
    """A server that is ready; it is killed at the end, if a test has not ended it."""
    ports = [_free_port(), _free_port()]
    name = f"genservice-test-{os.getpid()}"
    listen = {
        "GENSERVICE_SERVER__LISTEN": f"127.0.0.1:{ports[0]}",
        "GENSERVICE_SERVER__HTTP_LISTEN": f"127.0.0.1:{ports[1]}",
        "GENSERVICE_SERVER__DRAIN_WAIT_S": "0.2",
    }
    command = pod.command("genservice", "--name", name, environment=listen)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    running = Running(name, process, *(f"127.0.0.1:{port}" for port in ports))
    reader = threading.Thread(target=_read, args=(process, running.log), daemon=True)
    reader.start()
    try:
        _wait_until_ready(running)
        yield running
    finally:
        run("podman", "kill", name, check=False)
        process.wait(timeout=60)
        reader.join(timeout=10)
        process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _read(process: subprocess.Popen, log: list[dict]) -> None:
    for line in process.stdout:
        log.append(json.loads(line) if line.startswith("{") else {"event": line})


def _wait_until_ready(running: Running) -> None:
    request = health_pb2.HealthCheckRequest()
    with grpc.insecure_channel(running.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=READY_S, wait_for_ready=True)
        for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        watch.cancel()


@pytest.mark.parametrize("name", FILES)
def test_hadolint_finds_nothing(name) -> None:
    done = run(tool("hadolint"), DEPLOY / "image" / name, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_an_argument_and_pinned_by_digest() -> None:
    text = (DEPLOY / "image/Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.M)
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) >= {"${BASE}"}


def test_a_plugin_is_added_in_three_lines() -> None:
    lines = (DEPLOY / "image/plugin.Dockerfile").read_text().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("#")] == ["FROM", "COPY", "RUN"]


def test_the_image_says_what_it_is(image) -> None:
    about = json.loads(run("podman", "image", "inspect", image).stdout)[0]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in about["Labels"].items()}
    assert labels["title"] == "genservice"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "abc123"
    assert labels["base.name"] == BASE
    assert about["Config"]["User"] == "10001:10001"
    assert about["Config"]["Entrypoint"] == ["genservice", "serve"]


def test_the_image_has_the_plugins_that_were_chosen_and_no_compiler(image) -> None:
    compilers = "gcc g++ cc c++ clang ld as make rustc go"
    script = f"genservice plugins --json; for name in {compilers}; do command -v $name; done; true"
    done = run(*PODMAN, *ULIMITS, "--network", "none", "--entrypoint", "sh", image, "-c", script)
    plugins, end = json.JSONDecoder().raw_decode(done.stdout)
    assert {row["plugin"] for row in plugins if row["distribution"] != "genservice"} == set(PLUGINS.split())
    assert not [row["problem"] for row in plugins if row["problem"]]
    assert done.stdout[end:].strip() == ""


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
    with Client(server.address) as client:
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


def test_models_that_are_damaged_end_the_init_container_with_the_reason(pod) -> None:
    weights = next((pod.folder / "models/fashion-gan/1").glob("*.safetensors"))
    content = weights.read_bytes()
    weights.chmod(0o644)
    try:
        weights.write_bytes(content[:-1])
        done = run(*pod.command("models"), check=False)
        assert done.returncode == 1
        assert f"/models/fashion-gan/1/{weights.name} has {len(content) - 1} bytes" in pod.message
    finally:
        weights.write_bytes(content)
        (pod.folder / "termination-log").write_text("")


def test_a_plugin_of_ones_own_is_found_in_the_image_that_is_made_with_it(image, tmp_path: Path) -> None:
    for name, text in PLUGIN.items():
        indent = len(text) - len(text.lstrip()) - 1
        (tmp_path / name).write_text("\n".join(line[indent:] for line in text.splitlines()) + "\n")
    build(DEPLOY / "image/plugin.Dockerfile", tmp_path, "localhost/genservice:0.1.0-cpu-dice")
    plugins = ("plugins", "--json")
    done = run(
        *(*PODMAN, *ULIMITS, "--network", "none", "--read-only"),
        *("--entrypoint", "genservice", "localhost/genservice:0.1.0-cpu-dice", *plugins),
    )
    found = {row["plugin"]: row for row in json.loads(done.stdout)}
    assert found["dice"]["families"] == ["dice"]
    assert found["gan"]["problem"] is None
