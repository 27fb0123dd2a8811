"""The manifests of bulk generation, rendered; tests/unit/bulk/test_manifests.py compares them with the command."""

import os
import re
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, kustomize

pytestmark = pytest.mark.deploy

BULK = DEPLOY / "jobs/bulk"


def test_there_is_a_pod_for_each_index_of_the_settings() -> None:
    rendered = kustomize(BULK)
    (indexes,) = re.findall(r'^  GENSERVICE_BULK_INDEXES: "(\d+)"$', rendered, re.MULTILINE)
    # A number, and not a text as in the ConfigMap.
    assert re.findall(r"^  completions: (.+)$", rendered, re.MULTILINE) == [indexes]


def test_the_job_and_its_verification_have_the_same_settings_and_the_same_volume() -> None:
    used = [
        re.findall(r"configMapRef:\n +name: (\S+)|claimName: (\S+)", kustomize(folder))
        for folder in (BULK, BULK / "verify")
    ]
    assert used[0] == used[1]
    assert re.fullmatch(r"genservice-bulk-\w{10}", used[0][0][0])


def test_with_tls_the_pods_show_the_certificate_of_the_secret(tmp_path: Path) -> None:
    # kustomize takes no absolute paths.
    bulk = os.path.relpath(BULK, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{bulk}]\ncomponents: [{bulk}/tls]\n")
    rendered = kustomize(tmp_path)
    files = set(re.findall(r"name: GENSERVICE_BULK_TLS_\w+\n +value: (\S+)", rendered))
    assert files == {f"/etc/genservice-tls/{name}" for name in ("ca.crt", "tls.crt", "tls.key")}
    assert "secretName: genservice-tls" in rendered
