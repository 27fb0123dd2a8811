"""Envoy's configuration: Envoy takes it, and it asks for what the manifests have."""

import re
import subprocess

import pytest

from tests.deploy.tools import DEPLOY, tool

pytestmark = pytest.mark.deploy

FILE = DEPLOY / "envoy" / "envoy.yaml"
CARELESS = DEPLOY.parent / "tests" / "deploy" / "rolling" / "careless.yaml"


def validate(file):
    """What Envoy says of a configuration: whether it is right, and its warnings and errors."""
    command = [tool("envoy"), "--mode", "validate", "--log-level", "warning", "-c", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", [FILE, CARELESS], ids=lambda file: file.stem)
def test_envoy_takes_it_and_nothing_in_it_is_deprecated(file):
    assert validate(file) == (True, "")


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("no_traffic_interval", "no_traffic_intervall", "no_traffic_intervall"),
        ("base_interval: 0.025s", "base_interval: quickly", "quickly"),
        ("cluster: genservice", "cluster: genservices", "genservices"),
    ],
)
def test_a_mistake_is_found(tmp_path, right, wrong, complaint):
    text = FILE.read_text()
    assert right in text
    broken = tmp_path / "envoy.yaml"
    broken.write_text(text.replace(right, wrong, 1))
    is_right, said = validate(broken)
    assert not is_right
    assert complaint in said


def test_it_asks_the_headless_service_at_its_port():
    _, cluster = FILE.read_text().split("clusters:")
    address, port = re.search(r"socket_address: \{ address: (\S+), port_value: (\d+) \}", cluster).groups()
    services = (DEPLOY / "base" / "services.yaml").read_text().split("---")
    (headless,) = [service for service in services if f"name: {address}\n" in service]
    assert "clusterIP: None" in headless
    assert f"port: {port}\n" in headless


def test_it_knows_that_a_replica_leaves_long_before_that_leaves():
    _, cluster = FILE.read_text().split("clusters:")
    _, checks = cluster.split("health_checks:")
    settings = (DEPLOY / "base" / "settings.toml").read_text()

    def number(name, text):
        return int(re.search(rf"\b{name}(?:: | = )(\d+)", text)[1])

    heard_s = number("unhealthy_threshold", checks) * (number("interval", checks) + number("timeout", checks))
    assert heard_s + number("dns_refresh_rate", cluster) <= number("drain_wait_s", settings) / 2
