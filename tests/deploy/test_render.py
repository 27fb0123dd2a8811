"""Overlays and components render, alone and together."""

import re

import pytest
import yaml

from tests.deploy.combinations import AUTOSCALERS, OPTIONAL, OVERLAYS, Combination
from tests.deploy.tools import DEPLOY, kustomize

pytestmark = pytest.mark.deploy


def kinds(text: str) -> list[str]:
    return re.findall(r"^kind: (\w+)$", text, re.M)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_one_command(overlay) -> None:
    found = kinds(kustomize(DEPLOY / "overlays" / overlay))
    for kind in ("Namespace", "Deployment", "ConfigMap", "PodDisruptionBudget", "PriorityClass", "ServiceAccount"):
        assert found.count(kind) == 1
    assert found.count("Service") == 3
    # Nothing that a cluster without operators has no kind for.
    assert not {"ScaledObject", "ServiceMonitor", "PrometheusRule", "GRPCRoute"} & set(found)


def test_every_combination_renders_to_one_deployment(rendered) -> None:
    for name, file in rendered.files.items():
        assert kinds(file.read_text()).count("Deployment") == 1, name
    print(f"{len(rendered.files)} combinations rendered")


@pytest.mark.parametrize(("component", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_an_autoscaler_takes_the_replicas_over(component, kind, tmp_path) -> None:
    things = {thing["kind"]: thing for thing in yaml.safe_load_all(Combination("cpu", (component,)).render(tmp_path))}
    assert kind in things
    assert "replicas" not in things["Deployment"]["spec"]


def test_other_settings_are_another_config_map(tmp_path) -> None:
    def settings(folder, more=""):
        folder.mkdir()
        things = yaml.safe_load_all(Combination("cpu").render(folder, more))
        return next(thing["metadata"]["name"] for thing in things if thing["kind"] == "ConfigMap")

    changed = (
        "configMapGenerator:\n"
        "  - name: genservice-settings\n"
        "    behavior: merge\n"
        "    literals: ['settings.toml=store = [\"/models\"]']\n"
    )
    assert settings(tmp_path / "shipped") != settings(tmp_path / "changed", changed)


def test_keda_asks_for_the_metrics_of_its_own_namespace(rendered) -> None:
    assert 'namespace="genservice-dev"' in rendered.files["dev+keda+prometheus+network-policy"].read_text()
    assert 'namespace="genservice"' in rendered.files["gpu+keda+prometheus"].read_text()


def test_the_readme_has_every_component_and_overlay() -> None:
    text = (DEPLOY / "README.md").read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M))
    components = {folder.name for folder in (DEPLOY / "components").iterdir() if folder.is_dir()}
    assert documented >= components | set(OVERLAYS)
    assert components >= {*AUTOSCALERS[1:], *OPTIONAL}


def test_the_bulk_job_renders(tmp_path) -> None:
    folder = DEPLOY / "jobs/bulk"
    if not folder.is_dir():
        pytest.skip("there is no deploy/jobs/bulk")
    assert "Job" in kinds(kustomize(folder))
