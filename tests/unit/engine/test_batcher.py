"""Batches under a clock and a replica whose strings the test holds."""

import asyncio
from typing import Annotated

import numpy as np
import pytest

from genservice.engine.batcher import Batcher
from genservice.engine.call import Call, Output
from genservice.engine.observer import SilentObserver
from genservice.errors import DeadlineExceeded, InvalidRequest, ModelError, QueueFull, ServerDraining
from genservice.model.options import Options, Static
from genservice.store.manifest import Serving
from genservice.testing.puppets import PuppetClock, PuppetReplica, settle


class Scale(Options):
    scale: float = 1.0
    fine: Annotated[bool, Static()] = False


class Scene:
    """A batcher with its puppets, and a reader for each submission."""

    def __init__(self, observer=None, iterative=False, **serving):
        self.clock = PuppetClock()
        self.replica = PuppetReplica()
        self.batcher = Batcher(
            "toy",
            1,
            Serving(**{"max_batch_rows": 8, **serving}),
            self.clock,
            observer or SilentObserver(),
            iterative=iterative,
        )
        self.batcher.attach(self.replica)
        self.closed = []

    def submit(self, rows, *, first_index=0, window=None, deadline=None, options=None, verb="sample"):
        call = Call(verb, rows, options or Scale(), first_index=first_index, output=Output())
        return self.batcher.submit(call, window=window or rows, deadline=deadline, closed=self.closed.append)

    def sizes(self):
        return [[len(piece) for piece in batch] for batch in self.replica.batches]


def read(submission):
    return asyncio.create_task(submission.results())


async def test_an_idle_worker_takes_what_is_there():
    scene = Scene()
    answer = read(scene.submit(3))
    await settle()
    assert scene.sizes() == [[3]]
    await scene.replica.finish()
    np.testing.assert_array_equal((await answer)["samples"], [0, 1, 2])


async def test_requests_of_one_turn_share_a_batch_and_each_gets_its_own_rows():
    scene = Scene()
    answers = [read(scene.submit(2, first_index=start)) for start in (0, 100, 200)]
    await settle()
    assert scene.sizes() == [[2, 2, 2]]
    await scene.replica.finish()
    assert [list((await answer)["samples"]) for answer in answers] == [[0, 1], [100, 101], [200, 201]]


async def test_rows_collect_while_the_worker_is_busy():
    scene = Scene()
    answers = [read(scene.submit(1))]
    await settle()
    answers += [read(scene.submit(1)) for _ in range(3)]
    await settle()
    assert scene.sizes() == [[1]]
    await scene.replica.finish()
    assert scene.sizes() == [[1], [1, 1, 1]]
    await scene.replica.finish()
    await asyncio.gather(*answers)


async def test_a_busy_worker_holds_one_full_batch_ahead():
    scene = Scene()
    answer = read(scene.submit(40))
    await settle()
    assert scene.sizes() == [[8], [8]]
    for _ in range(5):
        await scene.replica.finish()
    np.testing.assert_array_equal((await answer)["samples"], range(40))


async def test_a_free_worker_waits_no_longer_than_max_queue_delay():
    scene = Scene(max_queue_delay_ms=20)
    answer = read(scene.submit(1))
    await settle()
    await scene.clock.advance(0.019)
    assert scene.sizes() == []
    await scene.clock.advance(0.002)
    assert scene.sizes() == [[1]]
    await scene.replica.finish()
    await answer


async def test_a_full_batch_does_not_wait_for_the_delay():
    scene = Scene(max_queue_delay_ms=20)
    answers = [read(scene.submit(4)) for _ in range(2)]
    await settle()
    assert scene.sizes() == [[4, 4]]
    await scene.replica.finish()
    await asyncio.gather(*answers)


async def test_only_rows_with_equal_static_options_share_a_batch():
    scene = Scene()
    coarse = [read(scene.submit(1, options=Scale(scale=scale))) for scale in (1.0, 2.0)]
    fine = read(scene.submit(1, options=Scale(fine=True)))
    await settle()
    await scene.replica.finish()
    await scene.replica.finish()
    assert scene.sizes() == [[1, 1], [1]]
    await asyncio.gather(fine, *coarse)


async def test_a_long_stream_leaves_room_for_a_short_request():
    scene = Scene()
    stream = read(scene.submit(1000))
    await settle()
    short = read(scene.submit(2, first_index=5000))
    await settle()
    await scene.replica.finish()
    assert [len(piece) for piece in scene.replica.batches[2]] == [4, 2, 2]
    await scene.replica.finish()
    await scene.replica.finish()
    assert short.done()
    stream.cancel()


async def test_a_stream_that_nobody_reads_is_granted_its_window_and_no_more():
    scene = Scene()
    submission = scene.submit(1_000_000, window=10)
    chunks = submission.events(5)
    first = asyncio.create_task(anext(chunks))
    await settle()
    await scene.replica.finish()
    await first
    while scene.replica.running:
        await scene.replica.finish()
    assert submission.granted_rows == submission.taken_rows == 10
    second = await anext(chunks)
    np.testing.assert_array_equal(second.results["samples"], range(5, 10))
    assert submission.granted_rows == 15
    await chunks.aclose()
    assert scene.closed == [submission]


async def test_cancelling_one_leaves_its_batch_mates_right():
    scene = Scene()
    submissions = [scene.submit(2, first_index=start) for start in (0, 100, 200)]
    answers = [read(submission) for submission in submissions]
    await settle()
    answers[1].cancel()
    await settle()
    assert submissions[1].outcome == "cancelled"
    await scene.replica.finish()
    assert list((await answers[0])["samples"]) == [0, 1]
    assert list((await answers[2])["samples"]) == [200, 201]


async def test_a_cancelled_row_that_waits_is_never_computed():
    scene = Scene()
    running = read(scene.submit(1))
    await settle()
    waiting = read(scene.submit(3))
    await settle()
    waiting.cancel()
    await settle()
    await scene.replica.finish()
    await running
    assert scene.sizes() == [[1]]


async def test_a_row_whose_deadline_passes_in_the_queue_is_never_computed():
    scene = Scene()
    running = read(scene.submit(1))
    await settle()
    late = read(scene.submit(1, deadline=1.0))
    await settle()
    await scene.clock.advance(1.1)
    with pytest.raises(DeadlineExceeded):
        await late
    await scene.replica.finish()
    await running
    assert scene.sizes() == [[1]]


async def test_a_full_queue_refuses_and_says_when_to_come_back():
    scene = Scene(max_queue_rows=16)
    running = read(scene.submit(8))
    await settle()
    waiting = read(scene.submit(8))
    await settle()
    more = read(scene.submit(16))
    await settle()
    with pytest.raises(QueueFull) as refusal:
        scene.submit(1)
    assert refusal.value.retry_after_s > 0
    for _ in range(4):
        await scene.replica.finish()
    await asyncio.gather(running, waiting, more)
    assert scene.batcher.submit(Call("sample", 1, Scale()), window=1, deadline=None, closed=lambda _: None)


async def test_a_row_that_makes_the_model_fail_is_refused_alone():
    scene = Scene()
    answers = [read(scene.submit(1, first_index=start)) for start in (0, 100, 200)]
    await settle()
    await scene.replica.finish(ValueError("secret of the plugin"))
    await scene.replica.finish()
    await scene.replica.finish(ValueError("secret of the plugin"))
    await scene.replica.finish()
    assert list((await answers[0])["samples"]) == [0]
    assert list((await answers[2])["samples"]) == [200]
    with pytest.raises(ModelError) as failure:
        await answers[1]
    assert "secret" not in failure.value.message
    assert failure.value.metadata["reference"] in failure.value.message


async def test_a_request_that_the_model_refuses_is_refused_alone():
    scene = Scene()
    answers = [read(scene.submit(1, first_index=start)) for start in (0, 100)]
    await settle()
    await scene.replica.finish(InvalidRequest("no such word"))
    await scene.replica.finish(InvalidRequest("no such word"))
    await scene.replica.finish()
    with pytest.raises(InvalidRequest):
        await answers[0]
    assert list((await answers[1])["samples"]) == [100]


async def test_streams_that_read_on_wait_for_room_and_never_overfill_the_queue():
    scene = Scene(max_queue_rows=20)
    streams = []
    for start in range(5):
        # Each is admitted while the queue is empty, and stops after its first chunk.
        chunks = scene.submit(1000, first_index=1000 * start, window=8).events(4)
        first = asyncio.create_task(anext(chunks))
        await settle()
        while scene.replica.running:
            await scene.replica.finish()
        await first
        streams.append(chunks)
    for chunks in streams:
        await anext(chunks)  # what was computed ahead
    readers = [asyncio.create_task(anext(chunks)) for chunks in streams]
    most = 0
    for _ in range(50):
        most = max(most, scene.batcher.queued_rows)
        await settle()
        if scene.replica.running:
            await scene.replica.finish()
    assert most <= 20
    for start, reader in enumerate(readers):
        assert list((await reader).results["samples"]) == [1000 * start + row for row in range(8, 12)]
    for chunks in streams:
        await chunks.aclose()


async def test_the_time_in_the_queue_counts_from_the_grant():
    waits = []

    class Watcher(SilentObserver):
        def batch_ran(self, model, version, verb, rows, padded_rows, queue_s, run_s):
            waits.append(queue_s)

    scene = Scene(observer=Watcher())
    chunks = scene.submit(1000, window=8).events(4)
    reader = asyncio.create_task(anext(chunks))
    for _ in range(5):
        await settle()
        await scene.clock.advance(1)
        await scene.replica.finish()
        await reader
        reader = asyncio.create_task(anext(chunks))
    assert len(waits) >= 3
    assert max(waits) <= 1
    reader.cancel()


async def test_two_may_wait_for_the_same_drain():
    scene = Scene()
    answer = read(scene.submit(3))
    await settle()
    waiters = [asyncio.create_task(scene.batcher.drained()) for _ in range(2)]
    await settle()
    await scene.replica.finish()
    await answer
    async with asyncio.timeout(5):
        await asyncio.gather(*waiters)
    assert all(waiter.done() for waiter in waiters)


async def test_drained_waits_for_the_last_row():
    scene = Scene()
    answer = read(scene.submit(3))
    await settle()
    drained = asyncio.create_task(scene.batcher.drained())
    await settle()
    assert not drained.done()
    await scene.replica.finish()
    await answer
    await drained


async def test_a_drain_gives_up_on_what_is_failed():
    scene = Scene()
    answer = read(scene.submit(3))
    await settle()
    scene.batcher.fail_all(DeadlineExceeded("over"))
    with pytest.raises(DeadlineExceeded):
        await answer
    await scene.replica.finish()
    await scene.batcher.drained()


async def test_a_draw_that_ends_early_gives_what_is_being_made_and_says_where_it_stopped():
    scene = Scene()
    chunks = scene.submit(100, first_index=1000, window=24).events(12)
    first = asyncio.create_task(anext(chunks))
    await settle()
    assert (scene.sizes(), scene.batcher.queued_rows) == ([[8], [8]], 8)
    scene.batcher.end_streams(lambda index: ServerDraining(str(index)))
    assert scene.batcher.queued_rows == 0
    await scene.replica.finish()
    await scene.replica.finish()
    assert list((await first).results["samples"]) == list(range(1000, 1012))
    assert list((await anext(chunks)).results["samples"]) == list(range(1012, 1016))
    with pytest.raises(ServerDraining, match="1016"):
        await anext(chunks)
    await scene.batcher.drained()
    assert scene.sizes() == [[8], [8]]


async def test_a_draw_of_which_nothing_is_being_made_ends_at_once_and_short_ones_are_finished():
    scene = Scene()
    short = [read(scene.submit(8)) for _ in range(3)]
    await settle()
    waiting = asyncio.create_task(anext(scene.submit(100, window=16).events(8)))
    await settle()
    scene.batcher.end_streams(lambda index: ServerDraining(str(index)))
    with pytest.raises(ServerDraining, match=r"^0$"):
        await waiting
    for _ in short:
        await scene.replica.finish()
    assert [len((await answer)["samples"]) for answer in short] == [8, 8, 8]
    await scene.batcher.drained()


async def test_a_draw_that_ends_early_gives_what_is_ready_first_in_any_order():
    scene = Scene()
    other = PuppetReplica()
    scene.batcher.attach(other)
    rows = []

    async def read_all():
        async for chunk in scene.submit(100, window=32).events(8, as_ready=True):
            rows.extend(chunk.results["samples"])

    reader = asyncio.create_task(read_all())
    await settle()
    scene.batcher.end_streams(lambda index: ServerDraining(str(index)))
    for replica in (other, scene.replica):
        while replica.running:
            await replica.finish()
    with pytest.raises(ServerDraining, match=r"^32$"):
        await reader
    assert rows[0] > 0
    assert sorted(rows) == list(range(32))
