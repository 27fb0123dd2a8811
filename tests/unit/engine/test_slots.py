"""Rows that join and leave at any step, and are what they would be alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iterative_toys import Letters, LettersOptions, Walk, WalkOptions

from genservice.engine.call import Call, RowDone, RowPreview, RowText, Slice
from genservice.engine.runtime import Runtime
from genservice.errors import PluginError
from genservice.store.manifest import Serving


def slots_of(model=Walk, *, most=4, **serving):
    runtime = Runtime(model({}), Serving(max_batch_rows=most, **serving))
    runtime.load(None)
    Walk.asked.clear()
    return runtime.slots


def walk(rows, *, seed=1, first_index=0, preview_steps=0, **options):
    return Call("sample", rows, WalkOptions(**options), seed=seed, first_index=first_index, preview_steps=preview_steps)


def piece(call):
    return Slice(call, 0, call.row_count)


def run(slots, *calls, until=None):
    """Draws until all rows are done: the samples of each call by row, and all events."""
    for call in calls:
        slots.add(piece(call), call)
    events = []
    while slots.busy:
        events += slots.turn().events
    return samples(events), events


def samples(events):
    found = {}
    for draw, event in events:
        if isinstance(event, RowDone):
            found.setdefault(draw, {})[event.row] = event.results["samples"][0]
    return found


def alone(call):
    return run(slots_of(most=1), call)[0][call]


def test_a_row_ends_after_its_own_steps_and_a_waiting_one_takes_its_slot_at_the_next():
    slots = slots_of(most=2)
    short, long, waiting = walk(1, steps=1), walk(1, seed=2, steps=4), walk(1, seed=3, steps=2)
    run(slots, short, long, waiting)
    assert [steps for _, steps in Walk.asked] == [[1, 1], [1, 2], [2, 3], [4]]


def test_the_step_runs_on_the_smallest_size_that_covers_the_live_rows():
    slots = slots_of(most=8)
    run(slots, walk(5, steps=1), walk(1, seed=2, steps=3))
    assert [active for active, _ in Walk.asked] == [8, 1, 1]


def test_rows_that_stay_move_into_a_dense_prefix():
    slots = slots_of(most=4)
    first, last = walk(3, steps=1), walk(1, seed=2, steps=5)
    found, _ = run(slots, first, last)
    assert [active for active, _ in Walk.asked] == [4, 1, 1, 1, 1]
    np.testing.assert_array_equal(found[last][0], alone(last)[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(0, 12), st.floats(0, 10, width=32)),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 8),
    st.booleans(),
)
def test_whoever_joins_when_every_row_has_the_bits_that_it_has_alone(requests, most, one_size):
    slots = slots_of(most=most, **({"batch_sizes": (most,)} if one_size else {}))
    calls = [walk(rows, seed=seed, steps=steps, scale=scale) for seed, (rows, steps, _, scale) in enumerate(requests)]
    events = []
    for turn in range(200):
        for call, (_, _, joins, _) in zip(calls, requests, strict=True):
            if joins == turn:
                slots.add(piece(call), call)
        if slots.busy:
            events += slots.turn().events
    found = samples(events)
    for call in calls:
        assert sorted(found[call]) == list(range(call.row_count))
        for row, sample in alone(call).items():
            np.testing.assert_array_equal(found[call][row], sample)


def test_the_slots_of_a_removed_draw_are_free_at_the_next_turn():
    slots = slots_of(most=4)
    given_up, waiting = walk(4, steps=50), walk(2, seed=2, steps=2)
    slots.add(piece(given_up), given_up)
    slots.turn()
    slots.add(piece(waiting), waiting)
    slots.remove(given_up)
    found, _ = run(slots)
    assert [steps for _, steps in Walk.asked] == [[1] * 4, [1, 1], [2, 2]]
    assert sorted(found[waiting]) == [0, 1]


def test_waiting_rows_of_a_removed_draw_never_enter():
    slots = slots_of(most=1)
    first, second = walk(1, steps=2), walk(3, seed=2)
    slots.add(piece(first), first)
    slots.add(piece(second), second)
    slots.turn()
    slots.remove(second)
    found, _ = run(slots)
    assert list(found) == [first]
    assert len(Walk.asked) == 2


def test_previews_come_at_every_so_many_steps_and_are_the_row_as_it_is_then():
    call = walk(1, steps=5, preview_steps=2)
    _, events = run(slots_of(), call)
    previews = [event for _, event in events if isinstance(event, RowPreview)]
    assert [preview.step for preview in previews] == [2, 4]
    for preview in previews:
        cut = walk(1, steps=preview.step)
        np.testing.assert_array_equal(preview.results["samples"][0], alone(cut)[0])


def test_a_step_that_raises_takes_its_rows_with_it_and_those_that_wait_go_on():
    slots = slots_of(most=2)
    poisoned, innocent, waiting = walk(1, poison=True), walk(1, seed=2), walk(1, seed=3)
    for call in (poisoned, innocent, waiting):
        slots.add(piece(call), call)
    with pytest.raises(ValueError, match="poison"):
        slots.turn()
    assert slots.clear() == {poisoned, innocent}
    found, _ = run(slots)
    assert list(found) == [waiting]


@pytest.mark.parametrize(("joining", "sizes"), [("WHOLE_BATCH", [2, 2, 2, 1]), ("SHRINKING_BATCH", [2, 1, 1, 1])])
def test_the_schedulers_that_are_measured_against_let_nobody_join(joining, sizes):
    slots = slots_of(most=2, joining=joining)
    first, second, waiting = walk(1, steps=1), walk(1, seed=2, steps=3), walk(1, seed=3, steps=1)
    found, _ = run(slots, first, second, waiting)
    assert [active for active, _ in Walk.asked] == sizes
    for call in (first, second, waiting):
        np.testing.assert_array_equal(found[call][0], alone(call)[0])


def text(rows=1, *, seed=1, prompt="", text_deltas=False, **options):
    tokens = Letters({}).tokenize(prompt)[None]
    return Call("sample", rows, LettersOptions(**options), {"prompt": tokens}, seed=seed, text_deltas=text_deltas)


def test_texts_are_told_as_they_are_drawn_and_whole_at_the_end():
    call, other = text(2, max_length=5, text_deltas=True), text(1, seed=2, max_length=9, prompt="abc")
    found, events = run(slots_of(Letters), call, other)
    for row in range(2):
        deltas = [event for draw, event in events if isinstance(event, RowText) and event.row == row]
        assert [delta.token_offset for delta in deltas] == [0, 1, 2, 3, 4]
        assert "".join(delta.text for delta in deltas) == found[call][row]
    assert len(found[other][0]) == 9
    assert not any(draw is other for draw, event in events if isinstance(event, RowText))


def test_a_text_that_comes_to_a_stop_string_gives_its_slot_back():
    whole = run(slots_of(Letters), text(max_length=20))[0].popitem()[1][0]
    call = text(max_length=20, stop=(whole[7:9],))
    slots = slots_of(Letters)
    slots.add(piece(call), call)
    turns = 0
    while slots.busy:
        events = slots.turn().events
        turns += 1
    ((_, done),) = events
    assert done.results["samples"] == [whole[: whole.index(whole[7:9])]]
    assert turns == whole.index(whole[7:9]) + 2


def test_a_step_of_the_wrong_length_is_the_plugins_fault():
    class Short(Walk):
        def step(self, state, noise, active):
            return super().step(state, noise, active)[:-1]

    slots = slots_of(Short)
    call = walk(2)
    slots.add(piece(call), call)
    with pytest.raises(PluginError, match="1 rows for 2 slots"):
        slots.turn()
