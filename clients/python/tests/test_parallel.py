"""One draw from several replicas, over real sockets."""

import asyncio
import gc
import socket
import threading

import grpc
import numpy as np
import pytest

import genservice_client as gc_client
from genservice.v1 import types_pb2

PART_ROWS = 4
WAIT_S = 10


@pytest.fixture
def replicas(another_service):
    return [another_service() for _ in range(3)]


class SkippingClock(gc_client.Clock):
    """Time passes by itself, and a test can skip some."""

    skipped_s = 0.0

    def now(self):
        return super().now() + self.skipped_s


@pytest.fixture
def passing_clock():
    return SkippingClock()


@pytest.fixture
def client_of(side, passing_clock):
    """Makes a client of replicas: with small parts, and time that passes."""

    def make(replicas, max_attempts=8, target=None, **limits):
        return side.client(
            target or [replica.target for replica in replicas],
            clock=passing_clock,
            retry=gc_client.RetryPolicy(initial_backoff_s=0.01, max_attempts=max_attempts),
            limits=gc_client.Limits(**{"part_rows": PART_ROWS} | limits),
        )

    return make


def requests_of(replica):
    return replica.service.requests["Sample"]


def asked(replica):
    return [(request.first_index, request.sample_count) for request in requests_of(replica)]


def indexes(chunks):
    return [int(index) for chunk in chunks for index in chunk.indexes]


def waiting_for(condition):
    """What lets a fake replica begin its answer only when another one has come so far."""

    def before_step(request, step):
        if step == "header":
            assert condition.wait(WAIT_S)

    return before_step


def telling(event, step="header"):
    def before_step(request, its_step):
        if its_step == step:
            event.set()

    return before_step


def all_take_part(replicas):
    """Lets no replica answer its second request before each has its first."""
    first = threading.Barrier(len(replicas))
    for replica in replicas:
        seen = []

        def before_step(request, step, seen=seen):
            # The very first part is read alone; the barrier is at a replica's second request, or its first after that.
            if step == "header" and request.content_hash and not seen:
                seen.append(request)
                first.wait(WAIT_S)

        replica.service.before_step = before_step


async def test_a_draw_is_split_over_the_replicas_and_given_out_in_order(side, replicas, client_of):
    all_take_part(replicas)
    stream = client_of(replicas).sample("digits", 100, seed=7, first_index=50)
    chunks = await side.collect(stream)
    assert indexes(chunks) == list(range(50, 150))
    assert np.concatenate([chunk.to_numpy() for chunk in chunks])[:, :2].tolist() == [[i, 7] for i in range(50, 150)]
    assert (stream.summary.sample_count, stream.summary.resume_count) == (100, 0)
    assert all(len(requests_of(replica)) >= 1 for replica in replicas)
    parts = sorted(part for replica in replicas for part in asked(replica))
    assert [start for start, _ in parts] == [50, *(start + count for start, count in parts[:-1])]
    # Only the first request was not pinned.
    pins = {(request.model, request.content_hash) for replica in replicas for request in requests_of(replica)[1:]}
    assert pins == {("models/digits/versions/3", "abc")}
    assert {request.seed for replica in replicas for request in requests_of(replica)} == {7}


async def test_a_small_draw_goes_to_one_replica(side, replicas, client_of):
    client = client_of(replicas)
    for _ in range(3):
        assert len(await side.collect(client.sample("digits", PART_ROWS))) == 1
    assert [asked(replica) for replica in replicas] == [[(0, PART_ROWS)]] * 3


async def test_all_collects_samples_and_their_conditions_stay_with_them(side, replicas, client_of):
    offsets = np.arange(100, dtype=np.float32) * 10
    conditions = {"offset": offsets, "prompt": "shared"}
    samples = await side.call(client_of(replicas).sample("digits", 100, conditions=conditions).all())
    assert samples.indexes.tolist() == list(range(100))
    assert samples.to_numpy()[:, 2].tolist() == offsets.tolist()
    assert {request.conditions["prompt"].strings.rows[0] for r in replicas for request in requests_of(r)} == {"shared"}


async def test_what_one_request_cannot_ask_for_goes_in_several(side, replicas, client_of):
    client = client_of(replicas, max_request_bytes=8)
    conditions = {"offset": np.arange(30, dtype=np.float32)}
    samples = await side.call(client.sample("digits", 30, conditions=conditions).all())
    assert samples.to_numpy()[:, 2].tolist() == list(range(30))
    assert max(count for replica in replicas for _, count in asked(replica)) == 2


async def test_a_replica_that_dies_leaves_its_part_to_the_others(side, replicas, client_of):
    dead, *others = replicas
    dead.service.always = ["header", "half", "hang"]
    stream = client_of(replicas).sample("digits", 100, seed=7)
    first = await side.call(stream.read())
    dead.server.stop(0)
    assert indexes([first, *await side.collect(stream)]) == list(range(100))
    assert stream.summary.resume_count >= 1
    assert all(requests_of(other) for other in others)


async def test_a_replica_that_is_not_there_at_first_is_used_when_it_comes(side, replicas, client_of, another_service):
    late, busy = replicas[:2]
    late.server.stop(0).wait()
    come = threading.Event()
    client = client_of([late, busy], max_attempts=1000)
    # The one that is there gives one part, and no more before the other one is asked.
    busy.service.before_step = lambda request, step: step == "header" and request.first_index > 0 and come.wait(WAIT_S)
    stream = client.sample("digits", 100, seed=7)
    first = await side.call(stream.read())
    back = another_service(address=late.target)
    back.service.before_step = telling(come)
    assert indexes([first, *await side.collect(stream)]) == list(range(100))
    assert requests_of(back)


@pytest.mark.parametrize("order", ["index", "as_ready"])
async def test_failures_everywhere_are_survived(side, replicas, client_of, cut, order):
    for place, replica in enumerate(replicas):
        replica.service.streams.extend(
            [
                [cut()],
                ["header", "half", cut(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="QUEUE_FULL")],
                ["header", "half"],
                ["header", "rest", "half", cut()],
                ["half"],
            ]
            * (place + 1)
        )
    chunks = await side.collect(client_of(replicas).sample("digits", 200, seed=7, order=order))
    given = indexes(chunks)
    assert sorted(given) == list(range(200))
    assert order == "as_ready" or given == sorted(given)


async def test_another_content_is_left_out_where_it_is_refused(side, replicas, client_of, cut):
    other = replicas[1]
    other.service.always = [cut(grpc.StatusCode.FAILED_PRECONDITION, reason="CONTENT_CHANGED")]
    refused = threading.Event()
    other.service.before_step = lambda request, step: refused.set()
    replicas[2].service.before_step = waiting_for(refused)
    samples = await side.call(client_of(replicas).sample("digits", 60, seed=7).all())
    assert samples.indexes.tolist() == list(range(60))
    assert {request.content_hash for request in requests_of(other)} == {"abc"}


@pytest.mark.parametrize("changes", [{"content_hash": "x"}, {"model": "models/digits/versions/4"}, {"numerics": "gpu"}])
async def test_a_replica_that_would_change_the_draw_is_not_used(side, replicas, client_of, changes):
    other = replicas[1]
    other.service.changes = changes
    answered = threading.Event()
    other.service.before_step = telling(answered, "summary")
    replicas[2].service.before_step = waiting_for(answered)
    other.service.always = ["header", "half", "rest", "summary"]
    stream = client_of(replicas).sample("digits", 60, seed=7)
    assert indexes(await side.collect(stream)) == list(range(60))
    # It was asked once.
    assert len(requests_of(other)) == 1
    assert stream.header.content_hash == "abc"


async def test_where_no_replica_is_left_the_error_says_what_each_of_them_did(side, replicas, client_of, cut):
    first, other = replicas[:2]
    first.service.always = ["header", "half", "rest", "summary"]
    first.service.streams.append(["header", "half", cut()])
    first.service.before_step = lambda request, step: setattr(first.service, "always", [cut()])
    other.service.changes = {"numerics": "gpu"}
    with pytest.raises(gc_client.NumericsChangedError) as caught:
        await side.collect(client_of([first, other], max_attempts=3).sample("digits", 60))
    assert [note.split(": ")[:2] for note in caught.value.__notes__] == [
        [first.target, "UnavailableError"],
        [other.target, "NumericsChangedError"],
    ]


async def test_the_same_draws_may_come_from_other_numerics(side, replicas, client_of):
    for place, replica in enumerate(replicas):
        replica.service.changes = {"numerics": str(place), "determinism": types_pb2.DETERMINISM_SAME_DRAWS}
    all_take_part(replicas)
    assert indexes(await side.collect(client_of(replicas).sample("digits", 100))) == list(range(100))


async def test_an_error_that_no_replica_could_do_without_is_raised_at_once(side, replicas, client_of, cut):
    replicas[0].service.always = [cut(grpc.StatusCode.INVALID_ARGUMENT, field="options.x")]
    with pytest.raises(gc_client.InvalidArgumentError) as caught:
        await side.collect(client_of(replicas).sample("digits", 100))
    assert caught.value.field == "options.x"
    assert [len(requests_of(replica)) for replica in replicas] == [1, 0, 0]


async def test_replicas_that_are_all_gone_are_an_error_in_the_end(side, replicas, client_of):
    for replica in replicas:
        replica.server.stop(0).wait()
    with pytest.raises(gc_client.UnavailableError):
        await side.collect(client_of(replicas, max_attempts=3).sample("digits", 100))


async def test_a_replica_that_hangs_holds_up_nobody(side, replicas, client_of):
    slow, *others = replicas
    slow.service.streams.append(["header", "half", "hang"])
    stream = client_of(replicas).sample("digits", 100)
    assert indexes(await side.collect(stream)) == list(range(100))
    # Its stream was ended when the others had read what it owed, which is no failure.
    assert stream.summary.resume_count == 0
    assert await asyncio.to_thread(slow.service.cancelled.wait, WAIT_S)
    assert all(requests_of(other) for other in others)


async def test_a_replica_that_was_asked_first_and_says_nothing_is_not_waited_for(
    side, replicas, client_of, passing_clock
):
    silent = replicas[0]
    silent.service.streams.append(["hang"])
    silent.service.before_step = lambda request, step: setattr(passing_clock, "skipped_s", 10.0)
    stream = client_of(replicas).sample("digits", 100)
    assert indexes(await side.collect(stream)) == list(range(100))
    assert stream.summary.resume_count == 0


async def test_samples_come_as_they_are_ready_and_are_sorted_when_joined(side, replicas, client_of):
    slow, fast = replicas[:2]
    given = threading.Event()
    slow.service.before_step = lambda request, step: step == "header" or given.wait(WAIT_S)
    stream = client_of([slow, fast]).sample("digits", 40, order="as_ready")
    first = await side.call(stream.read())
    given.set()
    assert first.indexes[0] > 0
    rest = await side.call(stream.all())
    assert rest.indexes.tolist() == sorted(set(range(40)) - set(first.indexes.tolist()))
    assert rest.to_numpy()[:, 0].tolist() == rest.indexes.tolist()


async def test_what_is_read_ahead_is_bounded(side, replicas, client_of):
    head, fast = replicas[:2]
    enough = threading.Event()
    head.service.before_step = lambda request, step: step == "header" or enough.wait(WAIT_S)
    rows = []

    def before_step(request, step):
        if isinstance(step, tuple):
            rows.append(step)

    fast.service.before_step = before_step
    stream = client_of([head, fast], read_ahead_bytes=12 * 10).sample("digits", 300)
    await side.call(stream.start())
    # 10 rows of 12 bytes may wait: the other replica stops long before its last row.
    enough.set()
    assert indexes([await side.call(stream.read())])[0] == 0
    assert sum(end - start for start, end in rows) < 100
    assert indexes(await side.collect(stream))[-1] == 299


async def test_leaving_an_iteration_early_ends_all_streams(side, replicas, client_of):
    for replica in replicas:
        replica.service.always = ["header", "half", "hang"]
    stream = client_of(replicas).sample("digits", 100)
    assert len(await side.collect(stream, limit=1)) == 1
    gc.collect()
    await asyncio.sleep(0)
    assert await asyncio.to_thread(replicas[0].service.cancelled.wait, WAIT_S)
    with pytest.raises(gc_client.CancelledError):
        await side.call(stream.read())


async def test_a_stream_that_nobody_holds_ends(side, replicas, client_of):
    for replica in replicas:
        replica.service.always = ["header", "half", "hang"]
    stream = client_of(replicas).sample("digits", 100)
    await side.call(stream.read())
    del stream
    gc.collect()
    assert await asyncio.to_thread(replicas[0].service.cancelled.wait, WAIT_S)


async def test_a_cancelled_stream_tells_its_reader(side, replicas, client_of):
    for replica in replicas:
        replica.service.always = ["header", "hang"]
    stream = client_of(replicas).sample("digits", 100)
    await side.call(stream.start())
    if side.kind == "sync":
        threading.Timer(0.03, stream.cancel).start()
    else:
        asyncio.get_running_loop().call_later(0.03, stream.cancel)
    with pytest.raises(gc_client.CancelledError):
        await side.call(stream.read())


async def test_a_deadline_ends_streams_that_hang(side, replicas, client_of):
    for replica in replicas:
        replica.service.always = ["header", "hang"]
    with pytest.raises(gc_client.DeadlineExceededError):
        await side.collect(client_of(replicas).sample("digits", 100, timeout_s=0.1))


async def test_a_closed_client_ends_its_streams(side, replicas, client_of):
    for replica in replicas:
        replica.service.always = ["header", "half", "hang"]
    client = client_of(replicas)
    stream = client.sample("digits", 100)
    await side.call(stream.read())
    await side.call(client.close())
    with pytest.raises(gc_client.ClientClosedError):
        await side.collect(stream)


@pytest.fixture
def names(monkeypatch):
    """IP addresses by name; a name that is not there is not found."""
    addresses = {}

    def getaddrinfo(host, port, *_, **__):
        if host not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


@pytest.fixture
def named(another_service, names):
    """Replicas of one name, at one port of several addresses."""
    first = another_service()
    port = first.target.rpartition(":")[2]
    running = [first, *(another_service(address=f"127.0.0.{host}:{port}") for host in (2, 3))]
    names["generators"] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    return running


@pytest.mark.parametrize("scheme", ["", "dns:///"])
async def test_each_address_of_a_name_is_a_replica(side, named, client_of, scheme):
    target = scheme + named[0].target.replace("127.0.0.1", "generators")
    all_take_part(named)
    assert indexes(await side.collect(client_of(named, target=target).sample("digits", 100))) == list(range(100))


async def test_a_name_is_looked_up_again_when_a_replica_is_lost(side, named, names, client_of, passing_clock):
    first, second, third = named
    names["generators"] = ["127.0.0.1", "127.0.0.2"]
    client = client_of(named, target=first.target.replace("127.0.0.1", "generators"))
    come = threading.Event()
    third.service.before_step = telling(come)
    second.service.before_step = waiting_for(come)
    first.service.always = ["header", "half", "hang"]
    stream = client.sample("digits", 100)
    chunks = [await side.call(stream.read())]
    # Names are not looked up again within a second.
    passing_clock.skipped_s = 2.0
    names["generators"] = ["127.0.0.2", "127.0.0.3"]
    first.server.stop(0)
    assert indexes(chunks + await side.collect(stream)) == list(range(100))
    assert requests_of(third)


async def test_a_name_that_is_not_found_for_a_while_keeps_its_replicas(side, named, names, client_of, passing_clock):
    client = client_of(named, target=named[0].target.replace("127.0.0.1", "generators"))
    await side.call(client.models())
    del names["generators"]
    passing_clock.skipped_s = 60.0
    for _ in range(3):
        await side.call(client.models())
    assert all(replica.service.requests["ListModels"] for replica in named)
