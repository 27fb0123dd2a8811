"""The command line as an operator runs it: real processes, and a plugin that is found as installed ones are."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore
from genservice_client import Client, ModelState, RetryPolicy, SampleFilter, UnavailableError

TOYS = Path(__file__).parents[1] / "unit" / "cli" / "toys"
LIMIT_S = 60
KEPT_SAMPLES = 4_000
"""Far more than a server has made by the time that its first chunk is read."""


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GENSERVICE_")}
    return kept | {"PYTHONPATH": str(TOYS)} | more


def genservice(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genservice", *map(str, arguments)]
    return subprocess.run(
        command, env=environment(**more), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    arguments = ("--data", "toy-clothes", "--model", "toy-gan", "--store", folder)
    done = genservice("train", "toy-garments", *arguments, GENSERVICE_DATA=str(tmp_path_factory.mktemp("cache")))
    assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def serving(*arguments: object, **more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A server process, and the addresses that it logged."""
    command = [sys.executable, "-m", "genservice", "serve", "--log-format", "json", *map(str, arguments)]
    with subprocess.Popen(command, env=environment(**more), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                event = json.loads(line)
                if event["event"] == "listening":
                    yield process, event
                    break
            else:
                pytest.fail("".join(lines))
        finally:
            process.kill()


def ready(client: Client, model: str) -> None:
    for now in client.watch_model(model, timeout_s=LIMIT_S):
        assert now.versions[0].state is not ModelState.FAILED, now.versions[0].reason
        if now.default_version:
            return


def test_a_server_serves_a_plugins_model_and_ends_in_good_order_on_sigterm(store: Path) -> None:
    ports = ("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
    with serving("--store", store, *ports) as (process, addresses), Client(addresses["grpc"]) as client:
        ready(client, "toy-gan")
        samples = client.sample("toy-gan", 5, seed=1, label="glove").all().to_numpy()
        again = client.sample("toy-gan", 3, seed=1, first_index=2, label="glove").all().to_numpy()
        np.testing.assert_array_equal(samples[2:], again)
        with urllib.request.urlopen(f"http://{addresses['http']}/readyz", timeout=LIMIT_S) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        output = process.stderr.read()
        assert process.wait(LIMIT_S) == 0
        assert json.loads(output.splitlines()[-1])["event"] == "drained"
        assert "Traceback" not in output


@pytest.mark.parametrize("worker", ["inline", "CPU:0"])
def test_a_call_that_hangs_does_not_keep_a_server_from_ending(tmp_path: Path, worker: str) -> None:
    def build(directory: Path) -> Manifest:
        np.save(directory / "patterns.npy", np.zeros((3, 8, 6, 1)))
        return Manifest(family="toy-hanging", plugin="genservice-toys", plugin_version="1.0")

    ModelStore([tmp_path / "store"]).publish("toy-hanging", build)
    ports = ("--listen", "127.0.0.1:0", "--http-listen", "")
    hang = tmp_path / "hang"
    settings = {"GENSERVICE_SERVER__DRAIN_LIMIT_S": "1", "TOY_HANG": str(hang)}
    settings["GENSERVICE_ENGINE__WORKERS"] = json.dumps([worker])
    with serving("--store", tmp_path / "store", *ports, **settings) as (process, addresses):
        with Client(addresses["grpc"], retry=RetryPolicy(max_attempts=1)) as client, ThreadPoolExecutor(1) as threads:
            ready(client, "toy-hanging")
            hang.touch()
            drawing = threads.submit(client.sample("toy-hanging", 1, seed=1).all)
            assert any("a call hangs" in line for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            # The drain's limit, the listeners' and the threads' are 1, 2 and 1 seconds; the model would take for ever.
            assert process.wait(20) == 0
            output = process.stderr.read()
            with pytest.raises(UnavailableError, match="shutting down"):
                drawing.result(LIMIT_S)
        events = [json.loads(line) for line in output.splitlines()]
        if worker == "inline":
            ended = events.pop()
            assert (ended["event"], ended["level"]) == ("ended although calls hang", "warning")
            assert all(name.startswith("model") for name in ended["threads"])
        assert events[-1]["event"] == "drained"


def published(folder: Path, *families: str) -> Path:
    def build(directory: Path, family: str) -> Manifest:
        if family in ("toy-garments", "toy-judge"):
            np.save(directory / "patterns.npy", patterns())
        return Manifest(family=family, plugin="genservice-toys", plugin_version="1.0")

    store = ModelStore([folder])
    for family in families:
        store.publish(family, partial(build, family=family))
    return folder


def patterns() -> np.ndarray:
    """Hats, gloves and scarves of the toy plugin: bright lines, as many as the number of the label."""
    lines = np.arange(8)[:, None, None] < np.arange(1, 4)[:, None, None, None]
    return np.where(lines, 0.6, -0.6) * np.ones((1, 1, 6, 1))


def test_picture_files_are_decoded_by_a_worker_and_compared(tmp_path: Path) -> None:
    store = published(tmp_path / "store", "toy-faces")
    paths = [tmp_path / "dark.png", tmp_path / "light.webp"]
    for path, value in zip(paths, (20, 200), strict=True):
        Image.new("L", (3, 4), value).save(path)
    ports = ("--listen", "127.0.0.1:0", "--http-listen", "")
    with serving("--store", store, *ports) as (process, addresses), Client(addresses["grpc"]) as client:
        ready(client, "toy-faces")
        assert client.compare("toy-faces", paths, paths[::-1]).same.tolist() == [False, False]
        gallery = client.gallery("toy-faces")
        for path in paths:
            gallery.enrol(path.stem, path)
        assert gallery.identify(paths).names == ("dark", "light")
        done = genservice("compare", "toy-faces", *paths[:1] * 2, "--json", "--server", addresses["grpc"])
        assert json.loads(done.stdout)["rows"][0]["same"], done.stderr
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "_imaging." not in maps, "the server process has loaded Pillow"


def test_a_filtered_draw_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    store = published(tmp_path / "store", "toy-garments", "toy-judge")
    keep = SampleFilter(classifier="toy-judge", label="glove", min_probability=0.5)
    ports = ("--listen", "127.0.0.1:0", "--http-listen", "")
    with serving("--store", store, *ports) as (first, one), serving("--store", store, *ports) as (second, other):
        targets = [one["grpc"], other["grpc"]]
        for target in targets:
            with Client(target) as client:
                ready(client, "toy-garments")
                ready(client, "toy-judge")
        with Client(targets[0]) as client:
            undisturbed = client.sample("toy-garments", KEPT_SAMPLES, seed=7, keep=keep)
            whole = undisturbed.all()
        with Client(targets) as client:
            stream = client.sample("toy-garments", KEPT_SAMPLES, seed=7, keep=keep)
            chunks = [stream.read()]
            # The first call of a client is the first server's.
            first.kill()
            first.wait()
            chunks += stream
        assert stream.summary.resume_count >= 1
        assert stream.summary.draw_count == undisturbed.summary.draw_count
        np.testing.assert_array_equal(np.concatenate([chunk.indexes for chunk in chunks]), whole.indexes)
        np.testing.assert_allclose(np.concatenate([chunk.to_numpy() for chunk in chunks]), whole.to_numpy(), atol=1e-5)
        assert second.poll() is None


def test_settings_come_from_the_environment_and_a_file(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"store = ['{store}']\n[server]\nlisten = '127.0.0.1:1'\nhttp_listen = ''\n")
    settings = {"GENSERVICE_CONFIG": str(file), "GENSERVICE_SERVER__LISTEN": "127.0.0.1:0"}
    with serving(**settings) as (process, addresses):
        listed = genservice("models", "--json", "--server", addresses["grpc"])
        assert [row["model"] for row in json.loads(listed.stdout)] == ["toy-gan"]
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(LIMIT_S) == 0


def test_a_server_that_serves_numpy_models_alone_never_loads_tensorflow(store: Path) -> None:
    ports = ("--listen", "127.0.0.1:0", "--http-listen", "")
    with serving("--store", store, *ports) as (process, addresses), Client(addresses["grpc"]) as client:
        ready(client, "toy-gan")
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "tensorflow" not in maps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--listen", "nowhere"), "The setting listen is HOST:PORT"),
        (("--store", "/no/such/folder"), "The setting store: /no/such/folder is not a folder"),
        (("--config", "/no/such/file"), "/no/such/file cannot be read"),
        (("--log-level", "loud"), "The setting server.log_level"),
    ],
)
def test_wrong_settings_end_the_process_with_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = genservice("serve", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_port_that_is_taken_ends_the_process(store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = genservice("serve", "--store", store, "--listen", address, "--http-listen", "")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: The setting listen, {address}, cannot be used")
    assert "Traceback" not in done.stderr
