"""What deploy/README.md says is so."""

import re
import tomllib

import pytest
import yaml

from tests.deploy.tools import DEPLOY

pytestmark = pytest.mark.deploy

README = (DEPLOY / "README.md").read_text()


def anchors() -> set[str]:
    """The anchors of the headings, as they are made on code hosts."""
    titles = re.findall(r"^#+ (.+)$", README, re.M)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_alert_has_a_section_of_the_runbook() -> None:
    rules = yaml.safe_load((DEPLOY / "components/prometheus/rules.yaml").read_text())
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for rule in alerts:
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert file == "deploy/README.md"
        assert anchor in anchors(), rule["alert"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        file, _, anchor = target.partition("#")
        assert not file or (DEPLOY / file).exists(), target
        assert not anchor or anchor in anchors(), target


def test_seconds_and_numbers_are_those_of_the_manifests() -> None:
    settings = tomllib.loads((DEPLOY / "base/settings.toml").read_text())
    (deployment,) = yaml.safe_load_all((DEPLOY / "base/deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    startup = pod["containers"][0]["startupProbe"]
    keda = yaml.safe_load((DEPLOY / "components/keda/scaled-object.yaml").read_text())["spec"]
    for text in (
        f"`drain_wait_s` ({settings['server']['drain_wait_s']} s)",
        f"`drain_limit_s` ({settings['server']['drain_limit_s']} s)",
        f"`call_limit_s` ({settings['engine']['call_limit_s']} s)",
        f"`max_queue_s` ({settings['engine']['max_queue_s']} s)",
        f"`load_limit_s`, {settings['engine']['load_limit_s']} s",
        f"`terminationGracePeriodSeconds` ({pod['terminationGracePeriodSeconds']} s)",
        f"may take {startup['periodSeconds'] * startup['failureThreshold']} s",
        f"after {deployment['spec']['progressDeadlineSeconds']} s",
        f"ready for {deployment['spec']['minReadySeconds']} s",
        keda["triggers"][0]["metadata"]["serverAddress"].removeprefix("http://"),
    ):
        assert text in README, text
    assert (keda["fallback"]["failureThreshold"], keda["fallback"]["replicas"]) == (4, 6)
    assert "four times" in README
    assert "at least six replicas" in README
