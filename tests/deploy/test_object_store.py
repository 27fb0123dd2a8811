"""The init container of the component object-store: its command, with another kind of remote in place of a bucket."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from genservice.errors import IntegrityError
from genservice.plugin_host import PluginHost
from genservice.store.copy import copy_version
from genservice.store.store import ModelStore
from tests.deploy.combinations import Combination
from tests.deploy.tools import tool

pytestmark = pytest.mark.deploy

MODEL = "iris-mixture"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The folder behind `bucket/models`."""
    folder = tmp_path / "remote" / "bucket" / "models"
    copy_version(ModelStore(PluginHost.discover().stores), MODEL, 1, folder)
    return folder


@pytest.fixture
def secret(bucket: Path) -> Iterator[dict[str, str]]:
    """What the Secret has: the variables of a remote, served while the test runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [tool("rclone"), "serve", "webdav", bucket.parents[1], "--addr", address, "--log-level", "NOTICE"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as remote:
        try:
            assert any(address in line for line in remote.stderr)
            yield {
                "BUCKET": "bucket/models",
                "RCLONE_CONFIG_STORE_TYPE": "webdav",
                "RCLONE_CONFIG_STORE_URL": f"http://{address}",
            }
        finally:
            remote.kill()


def init_container(folder: Path, secret: dict[str, str], models: Path) -> subprocess.CompletedProcess[str]:
    """Runs what the manifest has; Kubernetes puts variables in place of $(NAME)."""
    folder.mkdir()
    things = yaml.safe_load_all(Combination("dev", ("object-store",)).render(folder))
    (deployment,) = (thing for thing in things if thing["kind"] == "Deployment")
    (one,) = deployment["spec"]["template"]["spec"]["initContainers"]
    assert [each["mountPath"] for each in one["volumeMounts"]] == ["/models", "/tmp"]
    _, *words = (word.replace("$(BUCKET)", secret["BUCKET"]) for word in one["command"])
    words = [str(models) if word == "/models" else word for word in words]
    environment = {each["name"]: each["value"] for each in one["env"]}
    return subprocess.run(
        [tool("rclone"), *words], env=os.environ | environment | secret, capture_output=True, text=True, check=False
    )


def test_what_is_in_the_bucket_becomes_a_store_whose_hashes_are_right(secret, tmp_path: Path) -> None:
    models = tmp_path / "models"
    done = init_container(tmp_path / "manifests", secret, models)
    assert done.returncode == 0, done.stderr
    store = ModelStore([models])
    assert store.models() == [MODEL]
    store.verify(MODEL, 1)


def test_what_was_damaged_in_the_bucket_is_found(secret, bucket, tmp_path: Path) -> None:
    weights = bucket / MODEL / "1" / "weights.safetensors"
    content = weights.read_bytes()
    weights.chmod(0o644)
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    models = tmp_path / "models"
    assert init_container(tmp_path / "manifests", secret, models).returncode == 0
    with pytest.raises(IntegrityError, match="has another SHA-256"):
        ModelStore([models]).verify(MODEL, 1)


def test_a_bucket_that_is_not_there_ends_the_init_container(secret, tmp_path: Path) -> None:
    done = init_container(tmp_path / "manifests", secret | {"BUCKET": "nowhere"}, tmp_path / "models")
    assert done.returncode != 0
    assert "directory not found" in done.stderr
