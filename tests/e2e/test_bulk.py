"""Bulk generation by processes in place of pods: some are killed and run again, and every sample is there once."""

import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice_client import Client

TOYS = Path(__file__).parent / "toys"
LIMIT_S = 60
POLL_S = 0.01
SAMPLES, INDEXES, SHARD_SAMPLES = 1600, 4, 20
SEED = 11
ROWS = 16


class Pod:
    """`genservice bulk run` of one index."""

    def __init__(self, folder, index, address, *, samples=SAMPLES, model="stride", largest_file_bytes=None):
        plan = {"samples": samples, "seed": SEED, "indexes": INDEXES, "shard-samples": SHARD_SAMPLES}
        flags = [f"--{name}={value}" for name, value in plan.items()]
        command = [sys.executable, "-m", "genservice", "bulk", "run", f"--model={model}", *flags]

        def limit():
            if largest_file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))

        self.place = folder / f"index-{index:05}"
        self._process = subprocess.Popen(
            [*command, f"--index={index}", f"--out={folder}", f"--server={address}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )

    def shard_count(self):
        return len(list(self.place.glob("*.npz")))

    def signal_at(self, shards, number):
        """Sends a signal once there are so many shards, in the middle of the work, and gives the exit status."""
        end = time.monotonic() + LIMIT_S
        while self.shard_count() < shards:
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < end
            time.sleep(POLL_S)
        self._process.send_signal(number)
        return self.end()[0]

    def end(self):
        """Waits, and gives the exit status and what was written on both streams."""
        out, err = self._process.communicate(timeout=LIMIT_S)
        return self._process.returncode, out, err


def verify(folder, *flags):
    command = [sys.executable, "-m", "genservice", "bulk", "verify", str(folder), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)


def samples_in(folder):
    """All samples of a folder by their indexes, each of which is there once."""
    found = {}
    for path in folder.rglob("*.npz"):
        with np.load(path) as file:
            for index, sample in zip(file["indexes"].tolist(), file["samples"], strict=True):
                assert index not in found
                found[index] = sample
    assert sorted(found) == list(range(len(found)))
    return np.stack([found[index] for index in range(len(found))])


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two stores with `stride`, whose contents differ."""
    folders = [tmp_path_factory.mktemp("stride"), tmp_path_factory.mktemp("other")]
    for folder in folders:
        serving = Serving(max_batch_rows=ROWS, batch_sizes=(ROWS,))
        manifest = Manifest(family="stride", plugin="genservice-force", plugin_version="1.0", serving=serving)
        ModelStore([folder]).publish("stride", lambda directory, manifest=manifest: manifest)
    changed = folders[1] / "stride/1/model.toml"
    changed.write_text(changed.read_text() + "# changed\n")
    return folders


@pytest.fixture
def start(another_server, stores):
    """Starts a server of one of the stores."""
    environment = {"PYTHONPATH": str(TOYS)}
    return lambda number: another_server(
        models={"stride"}, arguments=["--store", stores[number]], environment=environment
    )


def test_indexes_that_are_killed_and_run_again_end_as_one_undisturbed_stream(start, tmp_path):
    with start(0) as server:
        with Client(server.address) as client:
            whole = client.sample("stride", SAMPLES, seed=SEED).all()
        pods = [Pod(tmp_path, index, server.address) for index in range(INDEXES)]
        assert pods[1].signal_at(3, signal.SIGKILL) == -signal.SIGKILL
        assert pods[2].signal_at(1, signal.SIGKILL) == -signal.SIGKILL
        assert [pods[index].end()[0] for index in (0, 3)] == [0, 0]

        half_way = verify(tmp_path, "--json")
        assert half_way.returncode == 1
        facts = json.loads(half_way.stdout)
        assert facts["indexes_to_run"] == [1, 2]
        assert not facts["doubled"]
        assert all(400 < start < stop <= 1200 for start, stop in facts["missing"])
        kept = {path: path.stat().st_ino for path in tmp_path.rglob("*.npz")}

        # Index 1 is killed once more, before its end.
        assert Pod(tmp_path, 1, server.address).signal_at(6, signal.SIGKILL) == -signal.SIGKILL
        for index in (1, 2):
            status, told, _ = Pod(tmp_path, index, server.address).end()
            assert status == 0
            assert int(re.search(r"(\d+) kept", told)[1]) > 0
    done = verify(tmp_path)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    # What was whole is still the same file; one shard of an index at most was not listed yet when it was killed.
    drawn_again = [path for path, inode in kept.items() if path.stat().st_ino != inode]
    assert len(drawn_again) <= 3
    assert not [path for path in tmp_path.rglob("*.partial") if not path.name.startswith(".")]
    # The model promises equal bits.
    np.testing.assert_array_equal(samples_in(tmp_path), whole.to_numpy())


def test_a_pod_that_is_asked_to_end_does_so_at_once_and_keeps_its_files(start, tmp_path):
    with start(0) as server:
        asked = Pod(tmp_path, 0, server.address, samples=100_000)
        begun = time.monotonic()
        assert asked.signal_at(2, signal.SIGTERM) == 128 + signal.SIGTERM
        assert time.monotonic() - begun < LIMIT_S / 2
    facts = json.loads(verify(tmp_path, "--json").stdout)
    assert facts["files"] >= 2
    assert facts["indexes_to_run"] == [0, 1, 2, 3]


def test_a_full_volume_ends_a_pod_with_one_line(start, tmp_path):
    with start(0) as server:
        # A shard is larger than this, and job.json is not.
        status, _, error = Pod(tmp_path, 0, server.address, samples=400, largest_file_bytes=1200).end()
        assert status == 1
        assert re.fullmatch(r"Error: \S+/index-00000/samples-000000000000\.npz cannot be written: .+\.\n", error)
        assert not list(tmp_path.rglob("*.npz"))
        assert Pod(tmp_path, 0, server.address, samples=400).end()[0] == 0


@pytest.mark.slow
def test_replicas_with_another_content_are_passed_over_and_refused_where_there_is_no_other(start, tmp_path):
    with start(0) as right, start(1) as other:
        assert Pod(tmp_path, 0, right.address, samples=400).end()[0] == 0
        status, _, error = Pod(tmp_path, 1, other.address, samples=400).end()
        assert status == 3
        assert re.fullmatch(r"Error: the job is drawn from models/stride/versions/1 with the content .+\n", error)
        either = f"{other.address},{right.address}"
        pods = [Pod(tmp_path, index, either, samples=400) for index in (1, 2, 3)]
        assert [pod.end()[0] for pod in pods] == [0, 0, 0]
        with Client(right.address) as client:
            whole = client.sample("stride", 400, seed=SEED).all()
    assert verify(tmp_path).returncode == 0
    np.testing.assert_array_equal(samples_in(tmp_path), whole.to_numpy())


@pytest.mark.slow
def test_a_real_model_whose_server_and_pods_are_killed_ends_as_one_undisturbed_stream(another_server, tmp_path):
    import genservice_gan

    arguments = ["--store", Path(genservice_gan.__file__).parent / "models"]
    with another_server(models={"fashion-gan"}, arguments=arguments) as first:
        with Client(first.address) as client:
            whole = client.sample("fashion-gan", 20_000, seed=SEED).all()
        pods = [Pod(tmp_path, index, first.address, samples=20_000, model="fashion-gan") for index in range(INDEXES)]
        assert pods[0].signal_at(5, signal.SIGKILL) == -signal.SIGKILL
        first.process.kill()
        first.process.wait()
        assert all(pod.shard_count() < 5000 / SHARD_SAMPLES for pod in pods)
        with another_server(first.address, models={"fashion-gan"}, arguments=arguments):
            assert [pod.end()[0] for pod in pods[1:]] == [0, 0, 0]
            assert Pod(tmp_path, 0, first.address, samples=20_000, model="fashion-gan").end()[0] == 0
    assert verify(tmp_path).returncode == 0
    np.testing.assert_allclose(samples_in(tmp_path), whole.to_numpy(), atol=1e-5)
