"""The rules for Prometheus: promtool runs them, and they ask for nothing that no server exports."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.exported import OF_OTHERS, exported, read_yaml, recorded, unknown, with_deploy_python
from tests.deploy.tools import DEPLOY, tool

pytestmark = pytest.mark.deploy

RULES = DEPLOY / "components" / "prometheus" / "rules.yaml"
PROMTOOL = Path(__file__).parent / "promtool"


@pytest.fixture(scope="module")
def rules():
    return read_yaml(RULES)


@pytest.fixture(scope="module")
def folder(rules, tmp_path_factory):
    """A folder with the rules as promtool reads them, and its tests."""
    folder = tmp_path_factory.mktemp("promtool")
    dump = "import json, sys, yaml; print(json.dumps(yaml.safe_dump(json.load(sys.stdin))))"
    (folder / "rules.yaml").write_text(with_deploy_python(dump, json.dumps(rules["spec"])))
    for file in PROMTOOL.iterdir():
        shutil.copy(file, folder)
    return folder


def alerts(rules):
    return [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]


def ran(folder, *arguments):
    return subprocess.run([tool("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_promtool_finds_nothing_wrong_with_the_rules(folder):
    done = ran(folder, "check", "rules", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(file.name for file in PROMTOOL.iterdir()))
def test_the_alerts_fire_when_they_should_and_only_then(folder, name):
    done = ran(folder, "test", "rules", name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_of_promtool_fails_where_an_alert_does_not_fire(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    broken = (tmp_path / "rules.yaml").read_text().replace('state="FAILED"', 'state="Failed"')
    (tmp_path / "rules.yaml").write_text(broken)
    done = ran(tmp_path, "test", "rules", "state.yaml")
    assert done.returncode != 0
    assert "GenserviceModelFailed" in done.stdout + done.stderr


def test_every_alert_is_tested_by_promtool(rules):
    tested = set(re.findall(r"alertname: (\w+)", "".join(file.read_text() for file in PROMTOOL.iterdir())))
    assert {rule["alert"] for rule in alerts(rules)} == tested


def test_the_rules_ask_for_nothing_that_nobody_exports(rules):
    queries = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert unknown(queries, {**exported(), **recorded(rules), **OF_OTHERS}) == []


def test_a_query_for_what_nobody_exports_is_found():
    queries = ["sum(rate(genservice_rows_total{outcom='ok'}[5m])) / genservice_rows_done_total"]
    assert [fault.split(":")[0] for fault in unknown(queries, exported())] == [
        "genservice_rows_total has no label outcom",
        "no metric genservice_rows_done_total",
    ]


def test_every_alert_says_how_urgent_it_is_and_has_a_place_in_the_runbook(rules):
    runbook = (DEPLOY / "README.md").read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-")
        for line in runbook.splitlines()
        if line[:1] == "#"
    }
    for rule in alerts(rules):
        assert rule["labels"]["severity"] in ("page", "ticket")
        place, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert place == "deploy/README.md"
        assert anchor in headings, f"{rule['alert']} has no section in {place}"


def test_each_window_has_both_records_that_its_alerts_compare(rules):
    names = set(recorded(rules))
    for series in ("rpc_errors", "slow_answers"):
        used = {
            name for rule in alerts(rules) for name in re.findall(rf"genservice:{series}:ratio_rate\w+", rule["expr"])
        }
        assert used == {name for name in names if name.startswith(f"genservice:{series}:")}
        assert len(used) == 7


def test_the_slow_bound_is_one_of_the_buckets(rules):
    bounds = {
        bound
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        for bound in re.findall(r'le="([^"]+)"', rule["expr"])
    }
    assert bounds == {"2.5"}
    from genservice.telemetry.metrics import Metrics

    metrics = Metrics()
    metrics.rpc_ended("/method", "OK", 1.0)
    assert metrics.registry.get_sample_value("genservice_rpc_seconds_bucket", {"method": "/method", "le": "2.5"}) == 1
