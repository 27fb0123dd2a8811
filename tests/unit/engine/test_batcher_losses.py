"""Rows whose worker dies, or whose step raises: they run again in halves, until the one at fault is alone."""

import asyncio

import numpy as np
import pytest

from genservice.engine.batcher import Batcher
from genservice.engine.call import Call, RowDone, RowPreview, RowText
from genservice.engine.observer import SilentObserver
from genservice.engine.submission import Chunk
from genservice.errors import InvalidRequest, ModelError, WorkerLost
from genservice.model.options import Options
from genservice.store.manifest import Serving
from genservice.testing.puppets import PuppetClock, PuppetReplica, settle

LOST = WorkerLost("killed by SIGKILL")


class Raised(SilentObserver):
    def __init__(self):
        self.references = []

    def model_raised(self, model, version, verb, reference, error):
        self.references.append((reference, type(error)))


class Scene:
    """A batcher whose replica dies when the test says so; the next one takes its place."""

    def __init__(self, *, iterative=False, most=4):
        self.clock = PuppetClock()
        self.raised = Raised()
        self.iterative = iterative
        serving = Serving(max_batch_rows=most)
        self.batcher = Batcher("toy", 1, serving, self.clock, self.raised, iterative=iterative)
        self.replace()

    def submit(self, rows, *, first_index=0, verb="sample", **call):
        call = Call(verb, rows, Options(), first_index=first_index, **call)
        return self.batcher.submit(call, window=rows, deadline=None, closed=lambda submission: None)

    def read(self, rows, **call):
        return asyncio.create_task(self.submit(rows, **call).results())

    def replace(self):
        self.replica = PuppetReplica()
        self.batcher.attach(self.replica)

    async def die(self):
        """Lets all that runs in the worker fail, and puts another worker in its place."""
        replica = self.replica
        while replica.running:
            await replica.finish(LOST)
        while replica.draws:
            await replica.tell(LOST)
        await self.batcher.detach(replica)
        self.replace()
        await settle()

    def sizes(self):
        return [sum(map(len, batch)) for batch in self.replica.batches]


def rows_of(batch):
    return [row + piece.call.first_index for piece in batch for row in range(piece.start, piece.stop)]


async def test_the_rows_of_a_dead_worker_run_again_and_nobody_notices():
    scene = Scene()
    answers = [scene.read(1, first_index=start) for start in (0, 100, 200, 300)]
    await settle()
    await scene.die()
    assert scene.sizes() == [2]
    await scene.replica.finish()
    await scene.replica.finish()
    assert scene.sizes() == [2, 2]
    assert [int((await answer)["samples"][0]) for answer in answers] == [0, 100, 200, 300]
    assert not scene.raised.references


async def test_the_row_that_its_worker_dies_of_is_refused_and_its_neighbours_are_not():
    scene = Scene(most=32)
    answers = [scene.read(1, first_index=start) for start in range(32)]
    await settle()
    deaths = 0
    while scene.replica.running:
        if 13 in rows_of(scene.replica.batches[-1]):
            deaths += 1
            await scene.die()
        else:
            await scene.replica.finish()
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [start for start, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [13]
    assert isinstance(outcomes[13], ModelError)
    assert scene.raised.references == [(outcomes[13].metadata["reference"], WorkerLost)]
    assert deaths <= 7
    assert all(int(outcomes[start]["samples"][0]) == start for start in range(32) if start != 13)


async def test_a_row_that_was_alone_with_its_worker_by_chance_is_tried_again():
    scene = Scene()
    answer = scene.read(1, first_index=7)
    await settle()
    await scene.die()
    await scene.replica.finish()
    assert list((await answer)["samples"]) == [7]


async def test_new_rows_wait_until_those_on_trial_are_through():
    scene = Scene()
    first = scene.read(1)
    await settle()
    await scene.die()
    later = scene.read(2, first_index=50)
    await settle()
    assert scene.sizes() == [1]
    await scene.replica.finish()
    assert scene.sizes() == [1, 2]
    await scene.replica.finish()
    await asyncio.gather(first, later)


async def test_rows_that_nobody_wants_any_more_are_not_tried():
    scene = Scene()
    left, stayed = scene.read(2), scene.read(2, first_index=10)
    await settle()
    left.cancel()
    await settle()
    await scene.die()
    await scene.replica.finish()
    assert rows_of(scene.replica.batches[0]) == [10]
    await scene.replica.finish()
    assert list((await stayed)["samples"]) == [10, 11]


async def test_rows_wait_while_there_is_no_worker():
    scene = Scene()
    await scene.batcher.detach(scene.replica)
    answer = scene.read(2)
    await settle()
    assert scene.batcher.queued_rows == 2
    scene.replace()
    await settle()
    await scene.replica.finish()
    await answer


async def test_two_workers_share_the_queue():
    scene = Scene()
    second = PuppetReplica()
    scene.batcher.attach(second)
    answers = [scene.read(4, first_index=start) for start in (0, 100)]
    await settle()
    assert len(scene.replica.batches) == len(second.batches) == 1
    await scene.replica.finish()
    await second.finish()
    assert [int((await answer)["samples"][0]) for answer in answers] == [0, 100]


async def test_a_refusal_of_the_model_is_no_loss():
    scene = Scene()
    answer = scene.read(1)
    await settle()
    await scene.replica.finish(InvalidRequest("no"))
    with pytest.raises(InvalidRequest):
        await answer


async def test_drawn_rows_that_were_done_are_kept_and_the_others_are_drawn_again():
    scene = Scene(iterative=True)
    answer = scene.read(4)
    await settle()
    await scene.replica.done(2)
    await scene.die()
    assert [(piece.start, piece.stop) for piece in scene.replica.draws] == [(0, 1)]
    await scene.replica.done(0)
    assert [(piece.start, piece.stop) for piece in scene.replica.draws] == [(1, 2), (3, 4)]
    await scene.replica.done(1)
    await scene.replica.done(3)
    assert list((await answer)["samples"]) == [0, 1, 2, 3]


async def test_a_row_whose_step_raises_is_refused_by_itself():
    scene = Scene(iterative=True)
    answers = [scene.read(1, first_index=start) for start in range(4)]
    await settle()
    while scene.replica.draws:
        pieces = list(scene.replica.draws)
        if any(piece.call.first_index == 2 for piece in pieces):
            for _ in pieces:
                await scene.replica.tell(ValueError("poison"))
        else:
            await scene.replica.done(0)
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [isinstance(outcome, ModelError) for outcome in outcomes] == [False, False, True, False]


async def test_slots_that_fall_free_are_given_to_others_at_once():
    scene = Scene(iterative=True)
    answer = scene.read(12)
    await settle()
    # The slots, and one row that waits for the first of them.
    assert [len(piece) for piece in scene.replica.draws] == [4, 1]
    await scene.replica.done(3)
    assert [len(piece) for piece in scene.replica.draws] == [4, 1, 1]
    answer.cancel()
    await settle()
    assert not scene.replica.draws


async def test_a_batch_of_another_verb_of_an_iterative_model_has_no_more_rows_than_there_are_slots():
    scene = Scene(iterative=True)
    answer = scene.read(5, verb="score")
    await settle()
    assert scene.sizes() == [4, 1]
    await scene.replica.finish()
    await scene.replica.finish()
    assert len((await answer)["log_prob"]) == 5


async def test_a_reader_sees_rows_on_their_way_and_a_slow_one_sees_fewer():
    scene = Scene(iterative=True)
    submission = scene.submit(2, text_deltas=True, preview_steps=1)
    events = submission.events(2, whole_chunks=False)
    first = asyncio.create_task(anext(events))
    await settle()
    await scene.replica.tell(RowText(0, 0, 0, "to "))
    assert await first == RowText(0, 0, 0, "to ")
    previews = [RowPreview(1, step, {"samples": np.array([step])}) for step in (1, 2)]
    await scene.replica.tell(RowText(0, 3, 3, "be "), RowText(0, 6, 6, "or"), *previews)
    assert await anext(events) == RowText(0, 3, 3, "be or")
    assert (await anext(events)).step == 2
    await scene.replica.done(0)
    chunk = await anext(events)
    assert isinstance(chunk, Chunk)
    assert chunk.ranges == ((0, 1),)
    await events.aclose()


async def test_a_text_that_is_drawn_again_tells_what_is_new_alone():
    scene = Scene(iterative=True)
    submission = scene.submit(1, text_deltas=True)
    events = submission.events(1, whole_chunks=False)
    first = asyncio.create_task(anext(events))
    await settle()
    await scene.replica.tell(RowText(0, 0, 0, "to be"))
    assert (await first).text == "to be"
    await scene.die()
    await scene.replica.tell(RowText(0, 0, 0, "to"), RowText(0, 2, 2, " be or"))
    assert await anext(events) == RowText(0, 2, 5, " or")
    await events.aclose()


async def test_rows_are_given_as_they_are_ready_where_asked_for():
    scene = Scene(iterative=True)
    submission = scene.submit(4)
    events = submission.events(4, as_ready=True)
    first = asyncio.create_task(anext(events))
    await settle()
    await scene.replica.tell(*[RowDone(row, {"samples": np.array([row])}) for row in (3, 1, 2)])
    chunk = await first
    assert chunk.ranges == ((3, 4), (1, 3))
    assert list(chunk.results["samples"]) == [3, 1, 2]
    await scene.replica.done(0)
    assert (await anext(events)).ranges == ((0, 1),)
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    assert submission.outcome == "ok"
