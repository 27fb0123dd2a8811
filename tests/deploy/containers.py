"""Builds the image as an operator would.

Buildah, podman, runc and debootstrap are Debian's; no registry is asked. The base image is made here once, and packages
come from a folder of wheels: `GENSERVICE_DEPLOY_CACHE`, else one in the system's temporary folder.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, ROOT, tool

CACHE = Path(os.environ.get("GENSERVICE_DEPLOY_CACHE", Path(tempfile.gettempdir()) / "genservice-deploy"))
PODMAN = ("podman", "--runtime", "runc", "run", "--rm", "--pull", "never")
# Limits that may be set where tests run in a container themselves.
ULIMITS = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=32768:32768")
BASE = "localhost/genservice-base:bookworm"
IMAGE = "localhost/genservice:0.1.0-cpu"
PLUGINS = "gan mixture"
RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"


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
    made = run("buildah", "from", "scratch", check=False)
    if made.returncode != 0:
        pytest.skip(f"buildah cannot make a container here: {made.stderr.strip()[-200:]}")
    run("buildah", "rm", made.stdout.strip())


def make_base() -> None:
    """Makes the base image: a small Debian with Python."""
    if run("buildah", "inspect", "--type", "image", BASE, check=False).returncode == 0:
        return
    root = CACHE / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    made = run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, root, check=False)
    if made.returncode != 0:
        pytest.skip(f"debootstrap cannot make a base image here: {(made.stdout + made.stderr).strip()[-200:]}")
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


def build_image() -> str:
    """Builds the image for the CPU, as deploy/README.md says; the test skips where it cannot be built.

    Returns:
        Its name.
    """
    need_container_tools()
    make_base()
    start = time.monotonic()
    arguments = ("--build-arg", f"BASE={BASE}", "--build-arg", f"PLUGINS={PLUGINS}", "--build-arg", "REVISION=abc123")
    build(DEPLOY / "image/Dockerfile", ROOT, IMAGE, "--target", "cpu", *arguments)
    size = json.loads(run("podman", "image", "inspect", IMAGE).stdout)[0]["Size"]
    print(f"built in {time.monotonic() - start:.0f} s, {size / 1e6:.0f} MB with the plugins {PLUGINS}")
    return IMAGE
