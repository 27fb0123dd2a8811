"""Versions that follow one another under load, without a call that is lost."""

import threading
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

import genservice_classifiers
from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore
from genservice_client import AdminClient, Client, ModelState

MODEL = "fashion-logistic"
SWITCHES = 200
MOST_BYTES_A_SWITCH = 3 << 20


@pytest.fixture
def two_versions(tmp_path):
    """A store with one model twice, and the label `stable` on the first."""
    shipped = ModelStore([Path(genservice_classifiers.__file__).parent / "models"])
    manifest = shipped.manifest(MODEL, 1)
    store = ModelStore([tmp_path])
    for _ in range(2):

        def build(directory):
            for name in manifest.files:
                (directory / name).write_bytes((shipped.directory(MODEL, 1) / name).read_bytes())
            serving = manifest.serving.model_copy(update={"max_batch_rows": 16, "batch_sizes": (4, 16)})
            return Manifest(**{**manifest.model_dump(exclude={"files"}), "serving": serving})

        store.publish(MODEL, build)
    store.set_label(MODEL, "stable", 1)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_switches_under_load_lose_nothing_and_cost_little_memory(another_server, two_versions):
    rows = np.random.default_rng(0).uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
    environment = {"GENSERVICE_SERVER__ADMIN_LISTEN": "127.0.0.1:0"}
    with another_server(models={MODEL}, arguments=["--store", two_versions], environment=environment) as running:
        over = threading.Event()
        answers, faults = [], []

        def call():
            with Client(running.address) as client:
                while not over.is_set():
                    try:
                        answers.append(client.classify(MODEL, rows).probabilities)
                    except Exception as fault:  # noqa: BLE001 - every one of them is a lost call
                        faults.append(fault)

        callers = [threading.Thread(target=call) for _ in range(4)]
        with AdminClient(running.admin) as admin, Client(running.address) as client:
            for caller in callers:
                caller.start()
            before = running.workers()[0].memory_info().rss
            pid, most = running.workers()[0].pid, 0
            for switches, (new, old) in enumerate(islice(cycle([(2, 1), (1, 2)]), SWITCHES), 1):
                admin.load_model(f"{MODEL}@{new}")
                until(client, new, ModelState.READY)
                admin.set_label(f"{MODEL}:stable", new)
                admin.unload_model(f"{MODEL}@{old}")
                until(client, old, ModelState.UNLOADED)
                worker = running.workers()[0]
                if worker.pid == pid and switches >= 10:
                    most = max(most, (worker.memory_info().rss - before) / switches)
            over.set()
            for caller in callers:
                caller.join()
    print(f"{len(answers)} calls, {len(faults)} lost; {most / 2**20:.2f} MiB a switch at most")
    assert not faults
    assert len(answers) > SWITCHES
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], atol=1e-6)
    assert most <= MOST_BYTES_A_SWITCH


def until(client, number, state):
    """Waits until a version is in a state."""
    for model in client.watch_model(MODEL):
        if model.version(number).state is state:
            return


def test_unloading_the_last_model_gives_its_memory_back(another_server, two_versions):
    rows = np.zeros((1, 28, 28, 1), np.float32)
    environment = {"GENSERVICE_SERVER__ADMIN_LISTEN": "127.0.0.1:0"}
    with (
        another_server(models={MODEL}, arguments=["--store", two_versions], environment=environment) as running,
        AdminClient(running.admin) as admin,
        Client(running.address) as client,
    ):
        for number in (1, 2):
            until(client, number, ModelState.READY)
        before = client.classify(MODEL, rows).probabilities
        loaded_bytes, server_bytes = running.resident_bytes, running.resident_bytes - running.workers_bytes
        for number in (1, 2):
            admin.unload_model(f"{MODEL}@{number}")
        running.wait_for(lambda: not running.workers())
        left_bytes = running.resident_bytes
        print(f"{loaded_bytes / 2**20:.0f} MiB before, {left_bytes / 2**20:.0f} MiB after")
        assert left_bytes < 1.1 * server_bytes
        assert left_bytes < loaded_bytes / 2
        admin.load_model(f"{MODEL}@1")
        until(client, 1, ModelState.READY)
        np.testing.assert_allclose(client.classify(MODEL, rows).probabilities, before, atol=1e-6)
