"""Workers that are killed, stopped and hung under load: nobody notices but the row that is at fault."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

import genservice_gan
from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice_client import Client, GenserviceClientError

TOYS = Path(__file__).parent / "toys"
DEADLY = 666.0
ENDLESS = 4321
TOLERANCE = 1e-5
STREAMS = 20
MOST_WORD_S = 0.1
UNREAD_ROWS = 2000


@pytest.fixture(scope="module")
def toy_store(tmp_path_factory):
    """Has each of the toys; those that need TensorFlow in a store of their own."""
    folder = tmp_path_factory.mktemp("force")
    for name, families in (("light", ("mine", "hang-python", "wide", "stride")), ("heavy", ("hang-graph",))):
        (folder / name).mkdir()
        store = ModelStore([folder / name])
        for family in families:
            rows = 16 if family == "stride" else 32
            serving = Serving(max_batch_rows=rows, batch_sizes=(rows,) if family == "stride" else ())

            def build(directory, family=family, serving=serving):
                return Manifest(family=family, plugin="genservice-force", plugin_version="1.0", serving=serving)

            store.publish(family, build)
    return folder


@pytest.fixture(scope="module")
def toys(toy_store):
    """Starts a server of toys: `with toys("light") as running`."""

    def start(name, serving, **environment):
        folder = toy_store / name
        variables = {"PYTHONPATH": str(TOYS), **environment}
        models = {path.name for path in folder.iterdir()}
        return serving(models=models, arguments=["--store", folder], environment=variables)

    return start


def draw(client, model, count, **request):
    drawn = client.sample(model, count, **request).all()
    np.testing.assert_array_equal(drawn.indexes, np.arange(count))
    return drawn.to_numpy()


def disturbed(running, model, count, disturb, **request):
    """Draws streams with other seeds all at once, and disturbs them half-way: what each gave, and gives undisturbed."""
    with Client(running.address, timeout_s=120) as client, ThreadPoolExecutor(STREAMS) as threads:
        undisturbed = [draw(client, model, count, seed=seed, **request) for seed in range(STREAMS)]
        before = running.metric("genservice_rows_total", model=model, outcome="ok")
        streams = [threads.submit(draw, client, model, count, seed=seed, **request) for seed in range(STREAMS)]
        running.wait_for(lambda: running.metric("genservice_running_rows", model=model) > 0)
        disturb()
        results = [stream.result() for stream in streams]
        assert running.metric("genservice_rows_total", model=model, outcome="ok") == before + STREAMS * count
    return results, undisturbed


def test_a_worker_is_killed_during_twenty_streams_of_a_real_model(another_server):
    store = Path(genservice_gan.__file__).parent / "models"
    with another_server(models={"fashion-gan"}, arguments=["--store", store]) as running:
        results, undisturbed = disturbed(
            running, "fashion-gan", 500, lambda: running.workers()[0].kill(), label="sneaker"
        )
        for result, whole in zip(results, undisturbed, strict=True):
            np.testing.assert_allclose(result, whole, atol=TOLERANCE)
        assert running.metric("genservice_workers_lost_total") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_rows_in_slots_outlive_their_worker(toys, another_server, number):
    with toys("light", another_server, GENSERVICE_ENGINE__SILENCE_LIMIT_S="2") as running:
        results, undisturbed = disturbed(
            running, "stride", 40, lambda: running.workers()[0].send_signal(number), steps=25
        )
        np.testing.assert_array_equal(results, undisturbed)


def test_a_killed_server_leaves_no_worker_behind(toys, another_server):
    with toys("light", another_server) as running:
        (worker,) = running.workers()
        running.process.kill()
        running.process.wait()
        psutil.wait_procs([worker], timeout=10)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("store", "model"),
    [("light", "hang-python"), pytest.param("heavy", "hang-graph", marks=pytest.mark.slow)],
    ids=["in Python", "in a graph"],
)
def test_a_draw_that_never_ends_is_refused_and_the_others_are_served(toys, another_server, store, model):
    with (
        toys(store, another_server, GENSERVICE_ENGINE__CALL_LIMIT_S="2") as running,
        Client(running.address, timeout_s=120) as client,
        ThreadPoolExecutor(9) as threads,
    ):
        undisturbed = [draw(client, model, 3, seed=seed) for seed in range(8)]
        hung = threads.submit(draw, client, model, 1, seed=1, code=ENDLESS)
        others = [threads.submit(draw, client, model, 3, seed=seed) for seed in range(8)]
        np.testing.assert_allclose([other.result() for other in others], undisturbed, atol=TOLERANCE)
        with pytest.raises(GenserviceClientError, match="The log has the reason under"):
            hung.result()
        assert any("a call has run for" in line for line in running.log)


def test_a_row_that_kills_its_worker_is_refused_and_its_31_neighbours_are_answered(toys, another_server):
    with toys("light", another_server) as running, Client(running.address, timeout_s=120) as client:
        values = [float(value) for value in range(1, 33)]
        values[13] = DEADLY

        def classify(value):
            return client.classify("mine", np.array([[value]], np.float32)).predicted[0]

        with ThreadPoolExecutor(32) as threads:
            # They wait for the worker together, and so share a batch.
            running.workers()[0].kill()
            answers = [threads.submit(classify, value) for value in values]
            outcomes = [answer.exception() or answer.result() for answer in answers]
    refused = [value for value, outcome in zip(values, outcomes, strict=True) if isinstance(outcome, Exception)]
    assert refused == [DEADLY]
    assert "The log has the reason under" in str(outcomes[13])
    assert all(outcome == "positive" for value, outcome in zip(values, outcomes, strict=True) if value != DEADLY)


def test_only_the_models_of_a_lost_worker_are_unhealthy_until_they_are_back(toys, another_server):
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with toys("light", another_server) as running, grpc.insecure_channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="stride"))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        running.workers()[0].kill()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


def test_the_slots_of_cancelled_streams_are_free_within_two_steps(toys, another_server, tmp_path):
    steps = tmp_path / "steps"
    with (
        toys("light", another_server, FORCE_STEPS=str(steps)) as running,
        Client(running.address, timeout_s=120) as client,
        ThreadPoolExecutor(200) as threads,
    ):

        def read(seed):
            stream = client.sample("stride", 2, seed=seed, steps=20)
            if seed % 2:
                stream.read()
                stream.cancel()
                return None
            return stream.all().to_numpy()

        kept = list(threads.map(read, range(200)))[::2]
        alone = [draw(client, "stride", 2, seed=seed, steps=20) for seed in range(0, 200, 2)]
        np.testing.assert_array_equal(kept, alone)
        # Alone in the slots, and then left: the model is called with no row of it after two more steps.
        stream = client.sample("stride", 16, seed=1, steps=1000)
        reading = threads.submit(stream.read)
        running.wait_for(lambda: running.metric("genservice_slots_used", model="stride") == 16)
        before = running.metric("genservice_step_rows_count", model="stride")
        stream.cancel()
        cancelled = time.time()
        running.wait_for(lambda: running.metric("genservice_running_rows", model="stride") == 0)
        running.wait_for(lambda: running.metric("genservice_slots_used", model="stride") == 0)
        assert running.metric("genservice_step_rows_count", model="stride") < before + 1000
        assert reading.exception() is not None
    # A step takes 2 ms, and the word of the cancellation at most some more to come through.
    after = [line for line in steps.read_text().splitlines() if float(line.split()[0]) > cancelled + MOST_WORD_S]
    assert len(after) <= 2


@pytest.mark.parametrize("is_reset", [False, True], ids=["ended", "reset"])
def test_a_client_that_takes_nothing_for_too_long_goes_on_where_its_stream_was_ended(toys, another_server, is_reset):
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    def has_place(health):
        check = health.Check.future(health_pb2.HealthCheckRequest())
        return check.code() is grpc.StatusCode.OK

    settings = {"WRITE_TIMEOUT_S": "0.2", "MAX_CONCURRENT_RPCS": "1"}
    environment = {f"GENSERVICE_SERVER__{name}": value for name, value in settings.items()}
    with (
        toys("light", another_server, **environment) as running,
        Client(running.address, timeout_s=120) as client,
        grpc.insecure_channel(running.address) as channel,
    ):
        stream = client.sample("wide", UNREAD_ROWS, seed=3)
        chunks = [stream.read()]
        running.wait_for(lambda: running.metric("genservice_rpcs_total", code="ABORTED"))
        assert running.metric("genservice_queued_rows") == running.metric("genservice_running_rows") == 0
        if is_reset:
            # Its place is free although its client has taken nothing.
            running.wait_for(lambda: has_place(health_pb2_grpc.HealthStub(channel)))
        while (chunk := stream.read()) is not None:
            chunks.append(chunk)
        assert stream.summary.resume_count > 0
        # Only now, for it makes the window of the connection large.
        undisturbed = draw(client, "wide", UNREAD_ROWS, seed=3)
    np.testing.assert_array_equal(np.concatenate([chunk.indexes for chunk in chunks]), np.arange(UNREAD_ROWS))
    np.testing.assert_array_equal(np.concatenate([chunk.to_numpy() for chunk in chunks]), undisturbed)


def test_the_server_process_holds_no_tensorflow(server):
    with Client(server.address) as client:
        for number in range(100):
            drawn = client.sample("fashion-gan", 2, seed=number).all().to_numpy()
            client.classify("fashion-cnn" if number % 2 else "fashion-logistic", drawn)
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "tensorflow" not in maps
    (worker,) = server.workers()
    assert "tensorflow" in Path(f"/proc/{worker.pid}/maps").read_text()
