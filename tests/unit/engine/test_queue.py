"""Whose rows are next: orders that were worked by hand, and what holds for all orders."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genservice.engine.call import Call
from genservice.engine.flow import Flow, Priority
from genservice.engine.queue import RowQueue
from genservice.engine.submission import Submission
from genservice.errors import CallerLimit, QueueFull
from genservice.model.options import Options

OPTIONS = Options()
A, B = ("classify", "a"), ("classify", "b")


class Scene:
    """A queue, and submissions that leave it when they end, as a batcher would have it."""

    def __init__(self, *limits):
        self.queue = RowQueue(*limits)

    def add(self, rows, flow=None, *, key=A, now=0.0):
        def ended(submission, outcome):
            self.queue.forget(submission, submission.granted_rows - submission.taken_rows)

        call = Call("classify", rows, OPTIONS)
        submission = Submission(call, window=rows, wanting=lambda _: None, closed=ended, flow=flow or Flow())
        self.queue.add(submission, rows, key, now)
        return submission

    def take(self, rows):
        """Rows of the next batch by caller, or by submission where there is one caller."""
        taken, _ = self.queue.take(rows)
        return [(submission.flow.caller, len(piece)) for submission, piece in taken]

    def served(self, rows, by=lambda flow: flow.caller):
        taken, _ = self.queue.take(rows)
        counts = Counter()
        for submission, piece in taken:
            counts[by(submission.flow)] += len(piece)
        return dict(counts)

    @property
    def is_empty(self):
        """Whether nothing at all is remembered."""
        queue = self.queue
        return not (
            queue.rows or queue._groups or queue._places or queue._caller_rows or queue._all.members or queue._all._left
        )


def test_an_empty_queue_gives_nothing():
    assert RowQueue().take(8) == ([], 0.0)


def test_the_submissions_of_one_share_take_turns():
    scene = Scene()
    scene.add(100)
    scene.add(2)
    assert scene.take(8) == [("", 4), ("", 2), ("", 2)]


def test_callers_share_a_batch_evenly_however_much_each_asks_for():
    scene = Scene()
    for _ in range(10):
        scene.add(100, Flow("flood"))
    scene.add(100, Flow("one"))
    scene.add(100, Flow("two"))
    assert scene.served(9) == {"flood": 3, "one": 3, "two": 3}


def test_what_one_leaves_goes_to_the_others():
    scene = Scene()
    scene.add(100, Flow("flood"))
    scene.add(1, Flow("light"))
    assert scene.served(8) == {"flood": 7, "light": 1}
    assert scene.served(8) == {"flood": 8}


def test_callers_share_by_weight():
    scene = Scene()
    scene.add(100, Flow("double", weight=2.0))
    scene.add(100, Flow("single"))
    assert scene.served(9) == {"double": 6, "single": 3}


def test_classes_share_by_sixteen_four_and_one():
    scene = Scene()
    for priority in Priority:
        scene.add(1000, Flow(f"{priority.name}", priority=priority))
    assert scene.served(42) == {"HIGH": 32, "NORMAL": 8, "LOW": 2}


def test_a_caller_in_two_classes_does_not_take_from_its_own_class():
    scene = Scene()
    scene.add(1000, Flow("both", priority=Priority.HIGH))
    scene.add(1000, Flow("both"))
    scene.add(1000, Flow("normal"))
    assert scene.served(20) == {"both": 16 + 2, "normal": 2}


def test_a_caller_divides_its_share_and_never_adds_to_it():
    scene = Scene()
    for share in "abcd":
        scene.add(100, Flow("many", share))
    scene.add(100, Flow("one"))
    assert scene.served(16, by=lambda flow: (flow.caller, flow.share)) == {
        **{("many", share): 2 for share in "abcd"},
        ("one", ""): 8,
    }


def test_what_was_given_in_one_batch_counts_in_the_next():
    scene = Scene()
    for caller in "abc":
        scene.add(100, Flow(caller))
    assert scene.served(1) == {"a": 1}
    assert scene.served(1) == {"b": 1}
    assert scene.served(1) == {"c": 1}
    assert scene.served(4) == {"a": 2, "b": 1, "c": 1}
    assert scene.served(5) == {"a": 1, "b": 2, "c": 2}


def test_an_idle_caller_saves_up_no_credit():
    scene = Scene()
    scene.add(1000, Flow("busy"))
    scene.take(500)
    scene.add(1000, Flow("late"))
    assert scene.served(10) == {"busy": 5, "late": 5}


def test_leaving_and_coming_again_does_not_rid_a_caller_of_what_it_was_given():
    scene = Scene()
    scene.add(1000, Flow("steady"))
    scene.add(10, Flow("comes and goes"))
    scene.add(1, Flow("third"))
    assert scene.served(21) == {"steady": 10, "comes and goes": 10, "third": 1}
    scene.add(1000, Flow("new"))  # begins where "steady" stands, which is at 10
    scene.add(50, Flow("comes and goes"))
    assert scene.served(9) == {"steady": 3, "new": 3, "comes and goes": 3}
    small = Scene()
    small.add(1000, Flow("steady"))
    small.add(9, Flow("greedy", weight=0.1))  # stands at 90 when it is served
    small.take(99)
    assert small.queue.caller_rows("greedy") == 0
    small.add(9, Flow("greedy", weight=0.1))
    assert small.served(10)["steady"] >= 9


def test_only_rows_of_one_group_share_a_batch_and_the_groups_of_a_share_take_turns():
    scene = Scene()
    scene.add(3, Flow("a"), key=A)
    scene.add(3, Flow("a"), key=B)
    assert scene.take(2) == [("a", 2)]
    groups = [scene.queue.take(2)[0][0][0] for _ in range(3)]
    assert len(groups) == 3
    assert scene.is_empty


def test_the_flow_whose_turn_it_is_chooses_the_group_and_others_of_that_group_fill_the_batch():
    scene = Scene()
    scene.add(100, Flow("a"), key=A)
    scene.add(2, Flow("b"), key=B)
    scene.add(2, Flow("c"), key=B)
    assert scene.served(8) == {"a": 8}
    assert scene.served(8) == {"b": 2, "c": 2}
    assert scene.served(8) == {"a": 8}


def test_a_group_that_floods_does_not_starve_another():
    scene = Scene()
    for caller in range(20):
        scene.add(1000, Flow(f"many {caller}"), key=A)
    scene.add(1000, Flow("alone"), key=B)
    served = Counter()
    for _ in range(210):
        served.update(scene.served(8))
    # As many rows as each of the others, to a batch.
    assert abs(served["alone"] - served["many 0"]) <= 8


def test_a_cancelled_submission_is_passed_over_and_leaves_nothing_behind():
    scene = Scene()
    gone = scene.add(5, Flow("a"))
    scene.add(2, Flow("a"))
    gone.cancel()
    assert (scene.queue.rows, scene.queue.caller_rows("a")) == (2, 2)
    assert scene.take(8) == [("a", 2)]
    assert scene.is_empty


def test_those_that_come_and_give_up_leave_no_heap_behind():
    scene = Scene()
    scene.add(10, Flow("stays", priority=Priority.LOW))
    for number in range(2000):
        scene.add(1, Flow(f"{number}")).cancel()
        scene.add(1, Flow("stays", priority=Priority.LOW)).cancel()
    queue = scene.queue
    low = queue._all.members[Priority.LOW]
    leaf = next(iter(low.members["stays"].members[""].leaves.values()))
    assert max(len(queue._grants), len(queue._all._heap), len(queue._all._left), len(leaf.places)) < 200


def test_the_oldest_row_is_that_which_waits_and_not_one_that_was_taken():
    scene = Scene()
    scene.add(2, Flow("a"), now=1.0)
    scene.add(2, Flow("b"), now=2.0)
    assert scene.queue.oldest() == 1.0
    assert scene.queue.take(4)[1] == 1.0
    scene.add(1, now=7.0)
    assert scene.queue.oldest() == 7.0


def test_rows_expire_in_the_order_in_which_they_began_to_wait():
    scene = Scene()
    first, second = scene.add(1, Flow("a"), now=1.0), scene.add(1, Flow("b"), now=2.0)
    assert scene.queue.expired(10.9, 10) == []
    assert scene.queue.expired(11.0, 10) == [first]
    assert scene.queue.expired(12.0, 10) == [first, second]
    first.cancel()
    assert scene.queue.expired(12.0, 10) == [second]


def test_a_stream_whose_rows_are_taken_in_time_does_not_expire():
    scene = Scene()
    stream = scene.add(4, Flow("a"), now=0.0)
    scene.queue.take(4)
    scene.queue.add(stream, 4, A, 8.0)
    assert scene.queue.expired(10.0, 10) == []
    assert scene.queue.expired(18.0, 10) == [stream]


def test_rows_before_a_newcomer_are_its_fair_share_of_those_that_wait():
    scene = Scene()
    queue = scene.queue
    assert queue.rows_before(Flow("new"), 10) == 10
    scene.add(1000, Flow("flood"))
    assert queue.rows_before(Flow("new"), 10) == 20
    scene.add(4, Flow("light"))
    assert queue.rows_before(Flow("new"), 10) == 24
    assert queue.rows_before(Flow("new", weight=2.0), 10) == 19
    # Of the same caller and share: in turn with the one submission that waits.
    assert queue.rows_before(Flow("flood"), 10) == 10 + 10 + 4
    # Another share of it: as much as the first.
    assert queue.rows_before(Flow("flood", "other"), 10) == 10 + 10 + 4
    # Another class: four times as much of NORMAL as of LOW, and there is no more than 1004.
    assert queue.rows_before(Flow("new", priority=Priority.LOW), 10) == 50
    assert queue.rows_before(Flow("new", priority=Priority.LOW), 10_000) == 11_004
    assert queue.rows_before(Flow("new", priority=Priority.HIGH), 16) == 20


def test_one_caller_gets_half_of_the_queue_and_the_next_half_of_the_rest():
    scene = Scene(100)
    scene.add(50, Flow("a"))
    assert scene.queue.room(Flow("a")) == 0
    assert scene.queue.room(Flow("b")) == 25
    scene.add(25, Flow("b"))
    assert scene.queue.room(Flow("b")) == 0
    assert scene.queue.room(Flow("c")) == 12
    assert scene.queue.room(Flow()) == 25


def test_the_limit_of_a_caller_holds_however_much_is_free():
    scene = Scene(1000, 30)
    scene.add(20, Flow("a"))
    assert scene.queue.room(Flow("a")) == 10
    assert scene.queue.most_rows(Flow("a")) == 30
    assert scene.queue.most_rows(Flow()) == 1000


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_smallest_queue_has_room_for_a_row(most):
    assert Scene(most).queue.room(Flow("a")) == Scene(most).queue.most_rows(Flow("a")) == 1


def test_a_caller_over_its_limit_is_told_so_and_others_are_served():
    scene = Scene(100)
    scene.add(50, Flow("flood"))
    with pytest.raises(CallerLimit) as refusal:
        scene.queue.check_room(Flow("flood"), 5, model="toy", retry_after_s=0.5)
    assert refusal.value.metadata == {"caller": "flood", "caller_rows": "50", "max_caller_rows": "50"}
    assert refusal.value.retry_after_s == 0.5
    scene.queue.check_room(Flow("light"), 5, model="toy", retry_after_s=0.5)


def test_a_caller_that_holds_nothing_is_told_that_the_queue_is_full():
    scene = Scene(100)
    scene.add(90)
    with pytest.raises(QueueFull) as refusal:
        scene.queue.check_room(Flow("light"), 20, model="toy", retry_after_s=0.5)
    assert refusal.value.reason == "QUEUE_FULL"
    assert refusal.value.metadata == {"queued_rows": "90", "max_queue_rows": "100"}
    assert refusal.value.retry_after_s == 0.5


def test_a_newcomer_needs_room_for_no_more_than_it_can_ever_have():
    scene = Scene(100)
    scene.queue.check_room(Flow("stream"), 80, model="toy", retry_after_s=0.5)
    scene.add(1)
    with pytest.raises(QueueFull, match="and 50 more do not fit"):
        scene.queue.check_room(Flow("stream"), 80, model="toy", retry_after_s=0.5)


FLOWS = st.builds(
    Flow,
    caller=st.sampled_from("abcd"),
    share=st.sampled_from(["", "x", "y"]),
    weight=st.sampled_from([0.3, 1.0, 2.5]),
    priority=st.sampled_from(Priority),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), FLOWS, st.integers(1, 40), st.sampled_from([A, B])),
        st.tuples(st.just("take"), st.integers(1, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 100)),
        st.tuples(st.just("more"), st.integers(0, 100), st.integers(1, 9)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_each_row_is_taken_once_or_given_up_and_nothing_is_left_behind(steps):
    scene = Scene()
    keys = {}
    now = 0.0

    def take(rows):
        before = scene.queue.rows
        taken, since = scene.queue.take(rows)
        assert sum(len(piece) for _, piece in taken) == before - scene.queue.rows <= rows
        assert bool(taken) == bool(before)
        assert len({keys[submission] for submission, _ in taken}) <= 1
        assert not taken or since <= now

    for name, *values in steps:
        now += 1
        live = [submission for submission in keys if not submission.outcome]
        match name:
            case "add":
                keys[scene.add(values[1], values[0], key=values[2], now=now)] = values[2]
            case "take":
                take(values[0])
            case "cancel" if live:
                live[values[0] % len(live)].cancel()
            case "more" if live:
                submission = live[values[0] % len(live)]
                scene.queue.add(submission, values[1], keys[submission], now)
        waiting = [submission for submission in keys if submission.available_rows]
        assert scene.queue.rows == sum(submission.available_rows for submission in waiting)
        for caller in "abcd":
            rows = sum(submission.available_rows for submission in waiting if submission.flow.caller == caller)
            assert scene.queue.caller_rows(caller) == rows
        if waiting:
            assert scene.queue.oldest() == min(submission.waiting_since for submission in waiting)
            assert set(scene.queue.expired(now + 1, 0)) == set(waiting)
    while scene.queue.rows:
        take(16)
    assert all(submission.outcome or not submission.available_rows for submission in keys)
    assert scene.is_empty


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=12), st.integers(1, 300))
def test_in_one_batch_those_that_all_wait_get_rows_by_weight_to_a_row(weights, rows):
    scene = Scene()
    for number, weight in enumerate(weights):
        scene.add(1000, Flow(f"{number}", weight=float(weight)))
    counts = scene.served(rows)
    served = [counts.get(f"{number}", 0) for number in range(len(weights))]
    # Theorem 1 of Goyal, Vin & Cheng 1996: by their weights, two differ by no more than a row of each.
    for one, rows_of_one in zip(weights, served, strict=True):
        for other, rows_of_other in zip(weights, served, strict=True):
            assert abs(rows_of_one / one - rows_of_other / other) <= 1 / one + 1 / other + 1e-9


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 64), st.integers(0, 20), st.integers(1, 30))
def test_a_light_flow_beside_floods_has_its_rows_after_its_share_of_batches(floods, batch, taken_before, rows):
    scene = Scene()
    for number in range(floods):
        scene.add(100_000, Flow(f"flood {number}"))
    for _ in range(taken_before):
        scene.take(batch)
    scene.add(rows, Flow("light"))
    batches = 0
    while scene.queue.caller_rows("light"):
        scene.take(batch)
        batches += 1
    assert batches <= math.ceil((rows + 1) * (floods + 1) / batch) + 1


@settings(deadline=None)
@given(st.integers(1, 64))
def test_the_lowest_class_is_never_starved(batch):
    scene = Scene()
    scene.add(10, Flow("low", priority=Priority.LOW))
    rows = 0
    while scene.queue.caller_rows("low"):
        for priority in (Priority.NORMAL, Priority.HIGH):
            if scene.queue.caller_rows(priority.name) < batch:
                scene.add(1000, Flow(priority.name, priority=priority))
        scene.take(batch)
        rows += batch
    assert rows <= 10 * 21 + 2 * batch + 21
