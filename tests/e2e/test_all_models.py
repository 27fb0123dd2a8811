"""Every model that ships, served at once by a real server process."""

import time
from pathlib import Path

import pytest

from genservice.cli.demo_calls import call_once
from genservice.plugin_host import PluginHost
from genservice.store.store import ModelStore
from genservice_client import Client, ModelState


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_models_are_served_at_once_and_the_server_process_holds_no_tensorflow(another_server):
    shipped = ModelStore(list(PluginHost.discover().stores)).models()
    started = time.monotonic()
    with another_server(models=shipped, arguments=()) as running, Client(running.address) as client:
        print(f"{len(shipped)} models ready after {time.monotonic() - started:.0f} s")
        versions = [model.answering for model in client.models()]
        assert [version.state for version in versions] == [ModelState.READY] * len(shipped)
        calls = [call_once(client, version, {}) for version in versions for _ in range(5)]
        assert [call for call in calls if not call.ok] == []
        assert len(calls) > 100
        assert "tensorflow" not in Path(f"/proc/{running.process.pid}/maps").read_text()
        (worker,) = running.workers()
        print(f"worker {worker.memory_info().rss >> 20} MiB")
