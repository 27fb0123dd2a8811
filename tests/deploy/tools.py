"""Finds what the tests of deployment run: programs, CRDs. What is missing is a reason to skip."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

OLDEST, NEWEST = "1.29", "1.37"
"""Versions of Kubernetes that are supported: in the oldest all that is used here is on by default."""


def find_tool(name: str) -> str | None:
    """Where a program is: in `GENSERVICE_DEPLOY_TOOLS`/bin, or else on the PATH."""
    folder = os.environ.get("GENSERVICE_DEPLOY_TOOLS")
    return (shutil.which(name, path=f"{folder}/bin") if folder else None) or shutil.which(name)


def tool(name: str) -> str:
    """The path of a program; the test skips where there is none."""
    if (path := find_tool(name)) is None:
        pytest.skip(f"{name} is not installed: `make test-deploy` installs what comes from PyPI, .ci/run the rest")
    return path


def deploy_python() -> str:
    """A Python with the packages of deploy/requirements.txt; the test skips where there is none."""
    folder = os.environ.get("GENSERVICE_DEPLOY_TOOLS")
    python = f"{folder}/bin/python" if folder else sys.executable
    if not _imports(python, "kubernetes_validate, cel, jsonschema, yaml"):
        pytest.skip("the packages of deploy/requirements.txt are not installed: run `make test-deploy`")
    return python


def crds() -> Path:
    """The folder of CRDs; the test skips where there is none."""
    folder = Path(os.environ.get("GENSERVICE_CRDS", ROOT.parent / "shared" / "k8s" / "crds"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: set GENSERVICE_CRDS to a folder of CRDs")
    return folder


@cache
def kustomize(folder: Path) -> str:
    """What a folder renders to.

    Raises:
        AssertionError: It does not.
    """
    done = subprocess.run([tool("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # what is deprecated
    return done.stdout


@cache
def _imports(python: str, modules: str) -> bool:
    return subprocess.run([python, "-c", f"import {modules}"], capture_output=True, check=False).returncode == 0
