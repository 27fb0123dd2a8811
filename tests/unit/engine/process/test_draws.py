"""Draws of iterative models in a real child process."""

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from genservice.engine.call import Call, Output, RowDone, RowPreview, RowText, Slice
from genservice.engine.process.failures import RemoteError
from genservice.errors import WorkerLost


def count(toys, rows=3, *, seed=1, piece=None, **fields):
    options = toys.CountOptions(
        **{"steps": 4, **{name: fields.pop(name) for name in ("steps", "fail_at", "step_s") if name in fields}}
    )
    inputs = {"start": np.zeros((1, 2), np.float32)}
    return Slice(Call("sample", rows, options, inputs, seed=seed, **fields), *(piece or (0, rows)))


def letters(toys, rows, *, text_deltas=True, **options):
    return Slice(Call("sample", rows, toys.CountOptions(**options), {}, seed=3, text_deltas=text_deltas), 0, rows)


async def drawn(replica, piece):
    async with aclosing(replica.draw(piece)) as events:
        return [event async for event in events]


def done(events):
    return {event.row: event.results["samples"] for event in events if isinstance(event, RowDone)}


async def test_samples_equal_those_of_an_inline_worker_and_keep_their_rows(both, toys):
    replicas = await both(toys.Count)
    pieces = [count(toys), count(toys, 20, seed=2, steps=7), count(toys, 10, seed=3, piece=(4, 6), first_index=5)]
    there, here = [await asyncio.gather(*(drawn(replica, piece) for piece in pieces)) for replica in replicas]
    for ours, theirs, piece in zip(there, here, pieces, strict=True):
        ours, theirs = done(ours), done(theirs)
        assert sorted(ours) == sorted(theirs) == list(range(piece.start, piece.stop))
        for row in ours:
            np.testing.assert_array_equal(ours[row], theirs[row])


async def test_texts_equal_those_of_an_inline_worker(both, toys):
    replicas = await both(toys.Letters)
    piece = letters(toys, 12, steps=30)
    there, here = [await drawn(replica, piece) for replica in replicas]
    assert done(there) == done(here)
    assert all(len(text) == 30 for (text,) in done(there).values())
    for row, (text,) in done(there).items():
        deltas = [event for event in there if isinstance(event, RowText) and event.row == row]
        assert "".join(delta.text for delta in deltas) == text
        characters = 0
        for delta in deltas:
            assert delta.character_offset == delta.token_offset == characters
            characters += len(delta.text)


async def test_previews_come_while_a_row_is_drawn_and_in_the_form_of_the_samples(start, toys):
    replica = await (await start()).load(toys.Count)
    events = await drawn(replica, count(toys, 2, steps=6, step_s=0.01, preview_steps=2))
    for row in (0, 1):
        steps = [event.step for event in events if isinstance(event, RowPreview) and event.row == row]
        assert steps == sorted(steps)
        assert set(steps) <= {2, 4}
    assert isinstance(events[-1], RowDone)


async def test_a_slow_reader_finds_the_latest_preview_and_the_text_in_one(start, toys):
    started = await start()
    replica, texts = await started.load(toys.Count), await started.load(toys.Letters)
    async with (
        aclosing(replica.draw(count(toys, 1, steps=40, step_s=0.005, preview_steps=1))) as previews,
        aclosing(texts.draw(letters(toys, 1, steps=400))) as deltas,
    ):
        first = await anext(previews)
        assert isinstance(first, RowPreview)
        begun = await anext(deltas)
        await asyncio.gather(
            drawn(replica, count(toys, 1, steps=45, step_s=0.005)), drawn(texts, letters(toys, 1, steps=450))
        )
        rest = [event async for event in previews]
        assert [type(event) for event in rest] == [RowDone]
        told = [event async for event in deltas]
        assert [type(event) for event in told] == [RowText, RowDone]
        assert begun.text + told[0].text == told[1].results["samples"][0]


async def test_steps_are_told(start, toys):
    replica = await (await start()).load(toys.Count)
    steps = []
    replica.on_step = steps.append
    await drawn(replica, count(toys, 3, steps=5))
    assert [step.rows for step in steps] == [3] * 5
    assert [step.padded_rows for step in steps] == [4] * 5
    assert all(step.run_s >= 0 for step in steps)


async def test_a_draw_that_is_closed_frees_its_slots(start, toys):
    replica = await (await start()).load(toys.Count, max_batch_rows=2)
    steps = []
    replica.on_step = steps.append
    events = replica.draw(count(toys, 2, steps=1_000_000, preview_steps=1))
    await anext(events)
    await events.aclose()
    await drawn(replica, count(toys, 2, steps=3))
    seen = len(steps)
    await drawn(replica, count(toys, 1, steps=3))
    assert {step.rows for step in steps[seen:]} == {1}
    assert not replica._link._draws


async def test_a_draw_whose_reader_is_cancelled_frees_its_slots_however_early(start, toys):
    replica = await (await start()).load(toys.Count, max_batch_rows=2)
    for turns in (1, 2, 3, 5, 30):
        reader = asyncio.create_task(drawn(replica, count(toys, 2, steps=1_000_000)))
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
    async with asyncio.timeout(60):
        assert len(done(await drawn(replica, count(toys, 2)))) == 2
    assert not replica._link._draws


async def test_a_step_that_raises_fails_the_rows_that_live(start, toys):
    replica = await (await start()).load(toys.Count)
    with pytest.raises(RemoteError, match="ArithmeticError: the sum is too large"):
        await drawn(replica, count(toys, fail_at=1))
    assert len(done(await drawn(replica, count(toys)))) == 3


@pytest.mark.parametrize("previews", [0, 1])
async def test_samples_that_cannot_leave_the_process_fail_their_draw(start, toys, previews):
    started = await start()
    replica = await started.load(toys.Count, {"objects": True})
    with pytest.raises(RemoteError, match="TypeError: An array of object"):
        await drawn(replica, count(toys, preview_steps=previews))
    assert len(done(await drawn(await started.load(toys.Count), count(toys)))) == 3


async def test_big_samples_come_whole(start, toys):
    replica = await (await start()).load(toys.Wide)
    events = await drawn(replica, count(toys, 10, preview_steps=1))
    samples = [sample for _, sample in sorted(done(events).items())]
    assert [sample.shape for sample in samples] == [(1, 2, 200_000)] * 10
    assert len({sample.tobytes() for sample in samples}) == 10
    assert all((sample == sample[:, :, :1]).all() for sample in samples)


async def test_a_row_that_must_be_formed_is(both, toys):
    replicas = await both(toys.Count)
    piece = count(toys, 2, output=Output("float32"))
    there, here = [done(await drawn(replica, piece)) for replica in replicas]
    np.testing.assert_array_equal(there[1], here[1])


async def test_a_draw_ends_with_its_worker(start, toys):
    started = await start()
    replica = await started.load(toys.Count)
    events = replica.draw(count(toys, 1, steps=1_000_000, preview_steps=1))
    await anext(events)
    await started.worker.close()
    with pytest.raises(WorkerLost):
        async for _ in events:
            pass
    with pytest.raises(WorkerLost):
        await anext(replica.draw(count(toys)))
