"""Pods without a cluster: their containers run as the manifests say, one after the other."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.deploy.combinations import Combination
from tests.deploy.containers import IMAGE, PODMAN, ULIMITS, run

USER = 10001


@dataclass(frozen=True)
class Pod:
    """A pod of the overlay `dev`, with the folders that its containers share.

    Args:
        folder: Where the volumes are.
        things: All objects of the overlay and its components.
    """

    folder: Path
    things: Sequence[Mapping]

    @classmethod
    def make(cls, folder: Path, *components: str) -> "Pod":
        """A pod whose volume of models is empty.

        Args:
            folder: An empty folder, which is opened to the pod's user.
            components: Components on top of the overlay.
        """
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent.name.startswith("pytest"):
                parent.chmod(0o755)
        folder.chmod(0o755)
        (folder / "manifests").mkdir()
        manifests = Combination("dev", components).render(folder / "manifests")
        pod = cls(folder, list(yaml.safe_load_all(manifests)))
        for name in ("settings", "models"):
            (folder / name).mkdir(parents=True)
        (settings,) = (thing for thing in pod.things if thing["kind"] == "ConfigMap")
        for key, text in settings["data"].items():
            (folder / "settings" / key).write_text(text)
        os.chown(folder / "models", USER, USER)
        (folder / "termination-log").touch(0o666)
        (folder / "termination-log").chmod(0o666)
        return pod

    @property
    def spec(self) -> Mapping:
        """What the Deployment says of its pods."""
        (deployment,) = (thing for thing in self.things if thing["kind"] == "Deployment")
        return deployment["spec"]["template"]["spec"]

    def write_secret(self, volume: str, files: Mapping[str, bytes]) -> None:
        """Writes the volume of a Secret as the kubelet does: for the group alone, all files anew at once, by a link.

        Args:
            volume: Its name.
            files: What is in the Secret.
        """
        (mode,) = (each["secret"]["defaultMode"] for each in self.spec["volumes"] if each["name"] == volume)
        folder = self.folder / volume
        folder.mkdir(exist_ok=True)
        content = Path(tempfile.mkdtemp(prefix="..", dir=folder))
        content.chmod(0o755)
        for name, text in files.items():
            (content / name).write_bytes(text)
            (content / name).chmod(mode)
            os.chown(content / name, 0, self.spec["securityContext"]["fsGroup"])
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(Path("..data") / name)
        (folder / "..data_tmp").symlink_to(content.name)
        (folder / "..data_tmp").replace(folder / "..data")

    @property
    def message(self) -> str:
        """What the last container wrote to /dev/termination-log."""
        return (self.folder / "termination-log").read_text()

    def command(self, container: str, *options: object, environment: Mapping[str, str] | None = None) -> list[str]:
        """What runs a container of the pod, as its manifest says: user, command, volumes, variables, rights.

        Args:
            container: Its name.
            options: More options of podman.
            environment: More variables.
        """
        spec = self.spec
        (one,) = (each for each in (*spec["initContainers"], *spec["containers"]) if each["name"] == container)
        own, shared = one["securityContext"], spec["securityContext"]
        assert own["readOnlyRootFilesystem"]
        assert not own["allowPrivilegeEscalation"]
        (folder, log) = self.folder, f"{self.folder / 'termination-log'}:/dev/termination-log"
        words = [*PODMAN, *ULIMITS, "--network", "host"]
        words += ["--read-only", "--read-only-tmpfs=false", "--security-opt", "no-new-privileges"]
        words += [word for name in own["capabilities"]["drop"] for word in ("--cap-drop", name)]
        words += ["--user", f"{shared['runAsUser']}:{shared['runAsGroup']}", "--volume", log]
        for mount in one["volumeMounts"]:
            (volume,) = (each for each in spec["volumes"] if each["name"] == mount["name"])
            read_only = ":ro" if mount.get("readOnly") else ""
            if mount["name"] == "tmp":
                words += ["--tmpfs", f"{mount['mountPath']}:mode=1777"]
            else:
                assert {"emptyDir", "configMap", "secret"} & set(volume)
                words += ["--volume", f"{folder / mount['name']}:{mount['mountPath']}{read_only}"]
        variables = {each["name"]: each["value"] for each in one.get("env", ())} | dict(environment or {})
        words += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        program, *arguments = one["command"]
        return [*words, "--entrypoint", program, *map(str, options), IMAGE, *arguments]


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


@contextmanager
def serving(pod: Pod, environment: Mapping[str, str]) -> Iterator[Running]:
    """Runs the server of a pod, until it has ended or is left.

    Args:
        pod: Its models are there.
        environment: More variables.
    """
    ports = [_free_port(), _free_port()]
    name = f"genservice-test-{os.getpid()}-{ports[0]}"
    listen = {
        "GENSERVICE_SERVER__LISTEN": f"127.0.0.1:{ports[0]}",
        "GENSERVICE_SERVER__HTTP_LISTEN": f"127.0.0.1:{ports[1]}",
    }
    command = pod.command("genservice", "--name", name, environment=listen | dict(environment))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    running = Running(name, process, *(f"127.0.0.1:{port}" for port in ports))
    reader = threading.Thread(target=_read, args=(process, running.log), daemon=True)
    reader.start()
    try:
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
