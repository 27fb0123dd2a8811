"""A toy plugin that looks installed, a store of its models, and a server of that."""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import structlog
from click.testing import CliRunner, Result

from genservice.cli.main import main
from genservice.cli.service import in_background
from genservice.cli.settings import read_settings
from genservice.plugin_host import PluginHost
from genservice.store.manifest import Card, Manifest
from genservice.store.store import ModelStore
from genservice.telemetry.logs import configure_logs

TOYS = Path(__file__).parent / "toys"

Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def toys() -> Iterator[Path]:
    """Makes the plugin importable, and its entry point found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        yield TOYS
    sys.modules.pop("genservice_toys", None)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("GENSERVICE_", "TOY_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def log() -> Iterator[io.StringIO]:
    """Takes what servers of these tests log, and leaves no trace of it for other tests."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs(stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def toy_store(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has `toy-gan` and `toy-cnn`."""
    from genservice_toys import patterns

    folder = tmp_path_factory.mktemp("store")
    store = ModelStore([folder])
    for model, family in (("toy-gan", "toy-garments"), ("toy-cnn", "toy-judge")):

        def build(directory: Path, family: str = family) -> Manifest:
            np.save(directory / "patterns.npy", patterns())
            card = Card(summary="A toy.", metrics={"accuracy": 0.5})
            return Manifest(family=family, plugin="genservice-toys", plugin_version="1.0", card=card)

        store.publish(model, build)
    store.set_label("toy-gan", "stable", 1)
    return folder


@pytest.fixture(scope="session")
def server(toy_store: Path) -> Iterator[str]:
    """Address of a server of the toy models, all of them ready."""
    with _serving(toy_store) as address:
        yield address


@contextmanager
def _serving(store: Path) -> Iterator[str]:
    from genservice_client import Client

    settings = read_settings({"store": [store], "server": {"listen": "127.0.0.1:0", "http_listen": ""}})
    with in_background(settings, PluginHost.discover()) as address:
        with Client(address) as client:
            for model in client.models():
                for now in client.watch_model(model.name, timeout_s=60):
                    assert now.versions[0].state != "FAILED", now.versions[0].reason
                    if now.default_version:
                        break
        yield address


@pytest.fixture(scope="session")
def verb_server(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of `toy-faces`, `toy-tags`, `toy-letters` and `toy-sums`, all of them ready."""
    folder = tmp_path_factory.mktemp("verbs")
    store = ModelStore([folder])
    for model in ("toy-faces", "toy-tags", "toy-letters", "toy-sums"):
        manifest = Manifest(family=model, plugin="genservice-toys", plugin_version="1.0")
        store.publish(model, lambda directory, manifest=manifest: manifest)
    with _serving(folder) as address:
        yield address


@pytest.fixture
def run() -> Run:
    """Runs the command line in this process."""
    # A table is wider than the terminal of a test.
    environment = {"COLUMNS": "300"}
    return lambda *arguments: CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])
