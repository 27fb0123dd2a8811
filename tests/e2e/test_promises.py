"""What the README promises, by force, against a real server process with real models."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genservice_client import Client

TOLERANCE = 1e-5


@pytest.fixture
def client(server):
    with Client(server.address) as client:
        yield client


def samples(client, count, **request):
    drawn = client.sample("fashion-gan", count, **request).all()
    np.testing.assert_array_equal(drawn.indexes, np.arange(count) + request.get("first_index", 0))
    return drawn.to_numpy()


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


def test_a_seed_gives_the_same_samples_amid_twenty_other_requests(client, whole):
    with ThreadPoolExecutor(21) as threads:
        others = [
            threads.submit(samples, client, 200, seed=seed, label=seed % 10, truncation_psi=seed / 20)
            for seed in range(20)
        ]
        drawn = threads.submit(samples, client, 1000, seed=7, label="sneaker").result()
        assert all(len(other.result()) == 200 for other in others)
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
        next(iter(stream))
        stream.cancel()
        return None

    with ThreadPoolExecutor(3) as threads:
        first, _, last = threads.map(draw, (False, True, False))
    np.testing.assert_allclose(first, whole, atol=TOLERANCE)
    np.testing.assert_allclose(last, whole, atol=TOLERANCE)


def test_a_stream_that_is_cut_twenty_times_ends_with_exactly_its_samples(cutting_proxy, whole):
    places = random.Random(5)
    # The first two fall before the header; the others anywhere in what is left.
    limits = [0, 30, *(places.randrange(1, 150_000) for _ in range(18))]
    with cutting_proxy(limits) as proxy, Client(proxy.address) as client:
        drawn = samples(client, 1000, seed=7, label="sneaker", chunk_rows=20)
        assert proxy.cuts == 20
    np.testing.assert_allclose(drawn, whole, atol=TOLERANCE)


def test_a_stream_may_be_cut_at_any_place_to_its_very_end(cutting_proxy, whole):
    with cutting_proxy() as proxy, Client(proxy.address) as client:
        client.model("fashion-gan")
        before = proxy.passed_bytes
        samples(client, 30, seed=7, label="sneaker", chunk_rows=10)
        stream_bytes = proxy.passed_bytes - before
    # Evenly over the stream, and byte by byte where the last chunk, the summary and the status end.
    spread = [round(stream_bytes * part / 12) for part in range(12)]
    for limit in [*spread, *range(stream_bytes - 120, stream_bytes + 60, 15)]:
        with cutting_proxy([limit]) as proxy, Client(proxy.address) as client:
            drawn = samples(client, 30, seed=7, label="sneaker", chunk_rows=10)
        np.testing.assert_allclose(drawn, whole[:30], atol=TOLERANCE)


@pytest.mark.slow
def test_streams_that_nobody_reads_cost_little_memory_and_little_of_a_readers_rate(server, client):
    def rate(rows=4000):
        started = time.monotonic()
        samples(client, rows, seed=1)
        return rows / (time.monotonic() - started)

    rate()
    alone, beside = [], []
    before = server.resident_bytes
    grown = 0
    started = time.monotonic()
    while time.monotonic() - started < 60 or len(beside) < 5:
        alone.append(rate())
        with Client(server.address) as idle:
            unread = [idle.sample("fashion-gan", 1_000_000, seed=seed) for seed in range(20)]
            for stream in unread:
                next(iter(stream))
            for _ in range(3):
                beside.append(rate())
                grown = max(grown, server.resident_bytes - before)
            for stream in unread:
                stream.cancel()
    print(f"resident memory grew by {grown / 2**20:.1f} MiB; rates alone {alone}, beside unread streams {beside}")
    assert grown < 64 * 2**20
    assert np.median(beside) >= 0.8 * np.median(alone)
