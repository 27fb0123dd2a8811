"""Strict validation by the schemas of Kubernetes and of the CRDs."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.combinations import Combination, render_all
from tests.deploy.tools import DEPLOY, NEWEST, OLDEST, ROOT, crds, deploy_python, kustomize

pytestmark = pytest.mark.deploy

CUSTOM = ("keda.sh", "monitoring.coreos.com", "gateway.networking.k8s.io")


def validate(*files: Path, custom: bool = True) -> subprocess.CompletedProcess:
    command = [deploy_python(), "-m", "deploy.checks.schemas", "--kubernetes", OLDEST, "--kubernetes", NEWEST]
    command += ["--crds", crds()] if custom else [word for group in CUSTOM for word in ("--pass-over", group)]
    return subprocess.run([*map(str, command), *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_combination_is_valid_on_the_oldest_and_the_newest_kubernetes(rendered) -> None:
    done = validate(*rendered.files.values(), custom=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_custom_resources_are_valid_by_their_definitions_and_rules(rendered) -> None:
    names = [f"{overlay}+{scaler}prometheus+grpc-route" for overlay in ("cpu", "gpu") for scaler in ("", "keda+")]
    done = validate(*(rendered.files[name] for name in names))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("folder", ["", "verify"])
def test_the_bulk_job_is_valid(folder, tmp_path) -> None:
    path = DEPLOY / "jobs/bulk" / folder
    if not path.is_dir():
        pytest.skip(f"there is no {path}")
    (tmp_path / "bulk.yaml").write_text(kustomize(path))
    done = validate(tmp_path / "bulk.yaml", custom=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


MISTAKES = {
    "a type": ("Deployment", "{op: replace, path: /spec/replicas, value: many}", "'many' is not of type 'integer'"),
    "a field": ("Deployment", "{op: add, path: /spec/replica, value: 3}", "'replica' was unexpected"),
    "an old API": (
        "PodDisruptionBudget",
        "{op: replace, path: /apiVersion, value: policy/v1beta1}",
        "has no policy/v1",
    ),
    "a custom field": (
        "ScaledObject",
        "{op: add, path: /spec/pollInterval, value: 3}",
        "'pollInterval' was unexpected",
    ),
    "a CEL rule": (
        "ScaledObject",
        "{op: replace, path: /spec/maxReplicaCount, value: 1}",
        "must be less than or equal",
    ),
    "a pattern": (
        "ServiceMonitor",
        "{op: replace, path: /spec/endpoints/0/interval, value: often}",
        "'often' does not",
    ),
    "a missing field": ("PrometheusRule", "{op: remove, path: /spec/groups/0/name}", "'name' is a required property"),
    "another rule": ("GRPCRoute", "{op: remove, path: /spec/rules/0/backendRefs/0/port}", "Must have port for Service"),
}
"""A patch of a kind, and what is said of it."""


@pytest.fixture(scope="module")
def said_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each mistake."""
    wanted = {}
    for name, (kind, patch, _) in MISTAKES.items():
        more = f"patches:\n  - target: {{kind: {kind}}}\n    patch: |\n      - {patch}\n"
        components = ("grpc-route", "prometheus") if kind == "Deployment" else ("grpc-route", "keda", "prometheus")
        wanted[name] = (Combination("cpu", components), more)
    files = render_all(wanted, tmp_path_factory)
    done = validate(*files.values())
    assert done.returncode == 1, done.stderr
    return {
        name: "".join(line for line in done.stdout.splitlines() if line.startswith(str(file)))
        for name, file in files.items()
    }


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_caught(name, said_of) -> None:
    assert MISTAKES[name][2] in said_of[name]
