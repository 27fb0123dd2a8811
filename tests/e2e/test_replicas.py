"""One draw over several real servers, one of which is killed, or has something else."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import genservice_gan
from genservice_client import Client, Limits

TOLERANCE = 1e-5
SAMPLE_COUNT = 1000
READ_AHEAD = Limits(read_ahead_bytes=512 << 10)
"""167 samples: the draws of these tests are far from their end when something happens in their middle."""


class Replica:
    """`genservice serve` of one store; it may be killed."""

    def __init__(self, store):
        command = [sys.executable, "-m", "genservice", "serve", "--store", str(store)]
        ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([*command, *ports], stderr=subprocess.PIPE, text=True)
        self.address = ""
        self._log = []
        self._drain = threading.Thread(target=lambda: self._log.extend(self.process.stderr), daemon=True)

    def wait_until_ready(self):
        for line in self.process.stderr:
            self._log.append(line)
            if listening := re.search(r"grpc=(\S+)", line):
                self.address = listening[1]
            if "state=READY" in line:
                break
        else:
            pytest.fail("the server ended:\n" + "".join(self._log))
        self._drain.start()

    def end(self):
        status = self.process.wait(timeout=60)
        if self._drain.ident:
            self._drain.join(timeout=10)
        self.process.stderr.close()
        return status


@contextmanager
def serving(stores):
    """Starts all of them at the same time, which takes hardly longer than one."""
    replicas = [Replica(store) for store in stores]
    try:
        for replica in replicas:
            replica.wait_until_ready()
        yield replicas
    finally:
        for replica in replicas:
            replica.process.terminate()
        statuses = [replica.end() for replica in replicas]
    assert set(statuses) <= {0, -signal.SIGKILL}


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """Three replicas with one content of fashion-gan, and one with another."""
    store, other_store = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("other")
    for folder in (store, other_store):
        shutil.copytree(Path(genservice_gan.__file__).parent / "models/fashion-gan", folder / "fashion-gan")
    # The content of a version is what its manifest says, to the byte.
    manifest = other_store / "fashion-gan/1/model.toml"
    manifest.write_text(manifest.read_text() + "# changed\n")
    with serving([store, store, store, other_store]) as started:
        yield started


@pytest.fixture(scope="module")
def whole(replicas):
    """The samples of one server."""
    with Client(replicas[2].address) as client:
        return client.sample("fashion-gan", SAMPLE_COUNT, seed=7, label="sneaker").all().to_numpy()


def check_equal(chunks, whole):
    np.testing.assert_array_equal(np.concatenate([chunk.indexes for chunk in chunks]), np.arange(SAMPLE_COUNT))
    np.testing.assert_allclose(np.concatenate([chunk.to_numpy() for chunk in chunks]), whole, atol=TOLERANCE)


def test_a_replica_with_another_content_is_left_out(replicas, whole):
    other = replicas[3]
    # The draw is pinned to what the first replica has.
    targets = [replicas[1].address, other.address, replicas[2].address]
    with Client(targets, limits=READ_AHEAD) as client:
        stream = client.sample("fashion-gan", SAMPLE_COUNT, seed=7, label="sneaker", chunk_rows=20)
        check_equal(list(stream), whole)
    with Client(other.address) as client:
        others_hash = client.sample("fashion-gan", 1).start().content_hash
    assert others_hash != stream.header.content_hash
    assert stream.summary.resume_count >= 1


def test_a_draw_outlives_a_replica_that_is_killed_in_its_middle(replicas, whole):
    killed = replicas[0]
    with Client([replica.address for replica in replicas[:3]], limits=READ_AHEAD) as client:
        stream = client.sample("fashion-gan", SAMPLE_COUNT, seed=7, label="sneaker", chunk_rows=20)
        chunks = [stream.read() for _ in range(10)]
        killed.process.kill()
        killed.process.wait()
        chunks += stream
    check_equal(chunks, whole)
    assert stream.summary.sample_count == SAMPLE_COUNT
    assert stream.summary.resume_count >= 1
