"""What the README promises, by force, against a real server process with real models."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import numpy as np
import pytest

from genservice.v1.generation_pb2 import SampleRequest
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice_client import Client, RetryPolicy

TOLERANCE = 1e-5
PATIENT = RetryPolicy(max_attempts=100)
"""A busy machine may take longer to start a server than a client waits unless it is told to."""

UNREAD_STREAMS = 20
UNREAD_ROWS = 1_000_000
UNREAD_S = 60
MOST_GROWTH_BYTES = 64 << 20
READER_ROWS = 4000
RATES = 5
"""Least number of measurements of the reader's rate, with and without the streams that nobody reads."""
LEAST_SHARE = 0.8
"""Of the rate alone that a reader keeps."""


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


def samples(client, count, **request):
    drawn = client.sample("fashion-gan", count, **request).all()
    np.testing.assert_array_equal(drawn.indexes, np.arange(count) + request.get("first_index", 0))
    return drawn.to_numpy()


def cancelled_rows(server):
    return server.metric("genservice_rows_total", model="fashion-gan", outcome="cancelled")


@pytest.fixture(scope="session")
def whole(server):
    """1,000 sneakers of seed 7, undisturbed."""
    with Client(server.address) as client:
        return samples(client, 1000, seed=7, label="sneaker")


@pytest.mark.parametrize("chunk_rows", [7, 64, 1000])
def test_a_seed_gives_the_same_samples_in_any_chunks(client, whole, chunk_rows):
    drawn = samples(client, 1000, seed=7, label="sneaker", chunk_rows=chunk_rows)
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


def test_a_sample_is_the_same_when_it_is_asked_for_alone(client, whole):
    for index in (0, 1, 255, 256, 999):
        alone = samples(client, 1, seed=7, label="sneaker", first_index=index)
        np.testing.assert_allclose(alone[0], whole[index], atol=TOLERANCE)


@pytest.mark.parametrize("chunk_rows", [7, 64, 1000])
def test_a_seed_gives_the_same_samples_amid_twenty_other_requests(client, whole, chunk_rows):
    with ThreadPoolExecutor(21) as threads:
        others = [
            threads.submit(samples, client, 200, seed=seed, label=seed % 10, truncation_psi=seed / 20)
            for seed in range(20)
        ]
        drawn = threads.submit(samples, client, 1000, seed=7, label="sneaker", chunk_rows=chunk_rows).result()
        assert all(len(other.result()) == 200 for other in others)
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


def test_a_seed_gives_the_same_samples_after_a_restart(another_server, whole):
    # `whole` comes from the process of the other tests, which began before this one.
    with another_server() as restarted, Client(restarted.address) as client:
        drawn = samples(client, 1000, seed=7, label="sneaker")
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stream_outlives_its_server(another_server, whole):
    with another_server() as first, Client(first.address, retry=PATIENT) as client, ExitStack() as second:
        stream = client.sample("fashion-gan", 1000, seed=7, label="sneaker", chunk_rows=20)
        chunks = [stream.read() for _ in range(10)]
        first.process.kill()
        first.process.wait()
        restart = threading.Thread(target=lambda: second.enter_context(another_server(first.address)))
        restart.start()
        while (chunk := stream.read()) is not None:
            chunks.append(chunk)
        restart.join()
    np.testing.assert_array_equal(np.concatenate([chunk.indexes for chunk in chunks]), np.arange(1000))
    drawn = np.concatenate([chunk.to_numpy() for chunk in chunks])
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


def test_concurrent_requests_with_other_labels_and_seeds_each_get_their_own(client):
    requests = [{"seed": 1, "label": "bag"}, {"seed": 2, "label": "boot"}, {"seed": 3, "label": "dress"}]
    alone = [samples(client, 100, **request) for request in requests]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda request: samples(client, 100, **request), requests))
    for left, right in zip(alone, together, strict=True):
        np.testing.assert_allclose(left, right, atol=TOLERANCE)
    named = [client.classify("fashion-logistic", drawn).predicted for drawn in together]
    for request, names in zip(requests, named, strict=True):
        assert max(set(names), key=list(names).count) == request["label"]


def test_cancelling_one_of_three_leaves_the_two_others_right(client, whole):
    start = threading.Barrier(3)

    def draw(cancelled):
        start.wait()
        if not cancelled:
            return samples(client, 1000, seed=7, label="sneaker", chunk_rows=50)
        stream = client.sample("fashion-gan", 1000, seed=8, label="bag", chunk_rows=50)
        assert stream.read() is not None
        stream.cancel()
        return None

    with ThreadPoolExecutor(3) as threads:
        first, _, last = threads.map(draw, (False, True, False))
    np.testing.assert_allclose(first, whole, atol=TOLERANCE)
    np.testing.assert_allclose(last, whole, atol=TOLERANCE)


def test_a_stream_that_is_cut_twenty_times_ends_with_exactly_its_samples(cutting_proxy, before_status, whole):
    places = random.Random(5)
    # Before the connection is made, within the response's headers, 17 times anywhere in what is left, and at last after
    # the last sample. The 17 leave some: they let less than the 3,136,000 bytes of the samples pass.
    limits = [0, 1, *(places.randrange(1, 150_000) for _ in range(17)), before_status]
    with cutting_proxy(limits) as proxy, Client(proxy.address) as client:
        drawn = samples(client, 1000, seed=7, label="sneaker", chunk_rows=20)
        assert proxy.cuts == 20
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


def test_a_stream_may_be_cut_at_any_place_to_its_very_end(cutting_proxy, whole):
    with cutting_proxy() as proxy, Client(proxy.address) as client:
        samples(client, 30, seed=7, label="sneaker", chunk_rows=10)
        call_bytes = proxy.call_bytes
    # Evenly over the call, closely where the last chunk, the summary and the status end, and once behind all that.
    spread = [round(call_bytes * part / 12) for part in range(12)]
    for limit in [*spread, *range(call_bytes - 120, call_bytes, 8), call_bytes - 1, call_bytes + 1]:
        with cutting_proxy([limit]) as proxy, Client(proxy.address) as client:
            drawn = samples(client, 30, seed=7, label="sneaker", chunk_rows=10)
            assert proxy.cuts == (limit < call_bytes)
        np.testing.assert_allclose(drawn, whole[:30], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("limit", "messages"), [(1, range(1)), (1_000_000, range(2, 17))], ids=["before the header", "half-way"]
)
def test_a_client_whose_connection_breaks_ends_its_request_and_the_next_is_served(
    server, client, cutting_proxy, whole, limit, messages
):
    before = cancelled_rows(server)
    request = SampleRequest(model="models/fashion-gan", sample_count=1_000_000, seed=1, chunk_rows=20)
    with (
        cutting_proxy([limit]) as proxy,
        grpc.insecure_channel(proxy.address, [("grpc.enable_retries", 0)]) as channel,
    ):
        call = GenerationServiceStub(channel).Sample(request)
        received = []
        with pytest.raises(grpc.RpcError):
            received.extend(message.WhichOneof("event") for message in call)
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        assert len(received) in messages
        assert proxy.cuts == 1
    server.wait_for(lambda: cancelled_rows(server) > before)
    assert cancelled_rows(server) - before == request.sample_count
    for gauge in ("genservice_queued_rows", "genservice_running_rows"):
        server.wait_for(lambda gauge=gauge: server.metric(gauge, model="fashion-gan") == 0)
    drawn = samples(client, 100, seed=7, label="sneaker")
    np.testing.assert_allclose(drawn, whole[:100], atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_streams_that_nobody_reads_cost_little_memory_and_little_of_a_readers_rate(server, client):
    def rate():
        started = time.monotonic()
        samples(client, READER_ROWS, seed=1)
        return READER_ROWS / (time.monotonic() - started)

    rate()  # what the first request costs is not measured
    alone = [rate() for _ in range(RATES)]
    before_bytes, before_cancelled = server.resident_bytes, cancelled_rows(server)
    with Client(server.address) as idle:
        unread = [idle.sample("fashion-gan", UNREAD_ROWS, seed=seed) for seed in range(UNREAD_STREAMS)]
        for stream in unread:
            # Not by an iteration, which cancels the stream when it is left.
            assert stream.read() is not None
        opened = time.monotonic()
        beside, grown_bytes = [], 0
        while time.monotonic() - opened < UNREAD_S or len(beside) < RATES:
            beside.append(rate())
            grown_bytes = max(grown_bytes, server.resident_bytes - before_bytes)
        assert cancelled_rows(server) == before_cancelled
        for stream in unread:
            stream.cancel()
        # All of them were open to the end.
        server.wait_for(lambda: cancelled_rows(server) == before_cancelled + UNREAD_STREAMS * UNREAD_ROWS)
    # Before and after, so that a machine that becomes faster or slower meanwhile counts for neither side.
    alone += [rate() for _ in range(RATES)]
    share = np.median(beside) / np.median(alone)
    print(
        f"resident memory grew by {grown_bytes / 2**20:.1f} MiB; samples per second: alone "
        f"{np.round(alone)}, beside {UNREAD_STREAMS} unread streams {np.round(beside)}, share {share:.2f}"
    )
    assert grown_bytes < MOST_GROWTH_BYTES
    assert share >= LEAST_SHARE
