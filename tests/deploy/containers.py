"""Builds the image as an operator would, and runs it as Kubernetes would: by what the manifests say.

Buildah, podman, runc and debootstrap are Debian's; no registry is asked. The base image is made here, and packages come
from a folder of wheels. Both are kept in `GENSERVICE_DEPLOY_CACHE`, else in a folder of the system's temporary one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT, kustomize, tool

CACHE = Path(os.environ.get("GENSERVICE_DEPLOY_CACHE", Path(tempfile.gettempdir()) / "genservice-deploy"))
PODMAN = ("podman", "--runtime", "runc", "run", "--rm", "--pull", "never")
# Limits that may be set where tests run in a container themselves.
ULIMITS = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=32768:32768")
BASE = "localhost/genservice-base:bookworm"
IMAGE = "localhost/genservice:0.1.0-cpu"
PLUGINS = "gan mixture"
RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
USER = 10001


def run(*command: object, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a program; what it printed is in the error where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[
        -4000:
    ]
    return done


def need_container_tools() -> None:
    """Skips the test where the image cannot be built or run."""
    for name in ("buildah", "podman", "runc", "debootstrap"):
        tool(name)
    if os.geteuid() != 0:
        pytest.skip("images are built and run as root here")


def make_base() -> None:
    """Makes the base image: a small Debian with Python."""
    if run("buildah", "inspect", "--type", "image", BASE, check=False).returncode == 0:
        return
    root = CACHE / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, root)
    shutil.rmtree(root / "var/cache/apt")
    archive = CACHE / "root.tar"
    run("tar", "-C", root, "-cf", archive, ".")
    run("podman", "import", archive, BASE)
    shutil.rmtree(root)
    archive.unlink()


def fetch_wheels() -> Path:
    """A folder of what the image installs; pip has most of it in its cache."""
    folder = CACHE / "wheels"
    done = CACHE / "wheels.txt"
    wanted = (ROOT / "constraints.txt").read_text()
    if not done.exists() or done.read_text() != wanted:
        platform = ("--python-version", "3.11", "--only-binary", ":all:")
        run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *platform),
            *("--requirement", ROOT / "constraints.txt", "setuptools", "wheel"),
        )
        done.write_text(wanted)
    return folder


def build(file: Path, context: Path, image: str, *options: object) -> None:
    """Builds an image without a registry.

    Args:
        file: The Dockerfile.
        context: Folder whose files it copies.
        image: Its name.
        options: More options of buildah.
    """
    wheels = fetch_wheels()
    (CACHE / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    run(
        *("buildah", "bud", "--layers", "--isolation", "chroot", "--network", "host", "--pull-never"),
        *("-v", f"{wheels}:/wheels:ro", "-v", f"{CACHE / 'pip.conf'}:/etc/pip.conf:ro"),
        *("--file", file, "--tag", image, *options, context),
    )
    run("podman", "image", "prune", "--force", "--filter", "until=24h")


@dataclass(frozen=True)
class Pod:
    """A pod of the overlay `dev`, with the folders that its containers share.

    Args:
        folder: Where the volumes are.
        things: All objects of the overlay.
    """

    folder: Path
    things: Sequence[Mapping]

    @classmethod
    def make(cls, folder: Path) -> "Pod":
        """A pod whose volume of models is empty."""
        pod = cls(folder, list(yaml.safe_load_all(kustomize(DEPLOY / "overlays/dev"))))
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
                assert {"emptyDir", "configMap"} & set(volume)
                words += ["--volume", f"{folder / mount['name']}:{mount['mountPath']}{read_only}"]
        variables = {each["name"]: each["value"] for each in one.get("env", ())} | dict(environment or {})
        words += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        program, *arguments = one["command"]
        return [*words, "--entrypoint", program, *map(str, options), IMAGE, *arguments]
