"""The dashboard: the file is what the code gives, and it asks for nothing that no server exports."""

import json
import re

import pytest

from deploy.dashboard.__main__ import FILE, main, text
from tests.deploy.exported import OF_OTHERS, exported, read_yaml, recorded, unknown
from tests.deploy.tools import DEPLOY, kustomize

pytestmark = pytest.mark.deploy

COLUMNS = 24


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(FILE.read_text())


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def with_variables(query):
    """A query as Grafana sends it."""
    query = query.replace("$__rate_interval", "5m")
    return re.sub(r"\$\w+", ".*", query)


def test_the_file_is_what_the_code_gives():
    assert FILE.read_text() == text(), "python -m deploy.dashboard writes it"
    assert main(["--check"]) == 0


def test_a_file_that_is_another_is_told(monkeypatch, tmp_path, capsys):
    file = tmp_path / "genservice.json"
    monkeypatch.setattr("deploy.dashboard.__main__.FILE", file)
    assert main(["--check"]) == 1
    assert "python -m deploy.dashboard" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_its_queries_ask_for_nothing_that_nobody_exports(dashboard):
    queries = [with_variables(target["expr"]) for panel in panels(dashboard) for target in panel["targets"]]
    choices = [
        with_variables(re.fullmatch(r"label_values\((.+), \w+\)", variable["definition"])[1])
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    rules = read_yaml(DEPLOY / "components" / "prometheus" / "rules.yaml")
    assert unknown(queries + choices, {**exported(), **recorded(rules), **OF_OTHERS}) == []


def test_what_a_server_exports_is_shown_or_recorded(dashboard):
    """Whoever adds a metric says where one looks at it."""
    rules = (DEPLOY / "components" / "prometheus" / "rules.yaml").read_text()
    shown = FILE.read_text() + rules
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exported()}
    assert [name for name in sorted(families) if name not in shown] == []


def test_panels_have_numbers_and_places_of_their_own(dashboard):
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert all(x < COLUMNS for x, _ in cells)
        assert not cells & taken
        taken |= cells


def test_legends_name_labels_that_the_query_leaves(dashboard):
    for panel in panels(dashboard):
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                kept = re.findall(r"by \(([^)]*)\)", target["expr"])
                assert not kept or any(label in labels for labels in kept), (panel["title"], target)


def test_the_component_puts_it_where_grafana_looks(tmp_path):
    import os

    path = os.path.relpath(DEPLOY / "dashboard", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"namespace: monitoring\ncomponents: [{path}]\n")
    (tmp_path / "rendered.yaml").write_text(kustomize(tmp_path))
    rendered = read_yaml(tmp_path / "rendered.yaml")
    assert rendered["metadata"] == {
        "name": "genservice-dashboard",
        "namespace": "monitoring",
        "labels": {"grafana_dashboard": "1"},
    }
    assert json.loads(rendered["data"]["genservice.json"]) == json.loads(text())
