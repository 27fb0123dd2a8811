"""What is refused before it is queued, and what is not."""

from types import SimpleNamespace

import numpy as np
import pytest

from genservice.engine.admission import DEADLINE_MARGIN, Admission
from genservice.engine.call import Call
from genservice.engine.flow import Flow
from genservice.engine.settings import EngineSettings
from genservice.errors import CallerLimit, DeadlineTooShort, OutOfRange, QueueFull
from genservice.model.options import Options
from genservice.store.manifest import Serving
from genservice.testing.puppets import PuppetClock

A, B = Flow("ipv4:10.0.0.1"), Flow("ipv4:10.0.0.2")


class Batcher:
    """Admits all, and has the rate and the estimates that it is told."""

    def __init__(self, estimate_s=None):
        self.rows_per_second = {"classify": 8.0, "sample": 8.0}
        self.estimate = estimate_s
        self.asked = []
        self.submitted = []
        self.refusal = None

    def estimate_s(self, verb, rows, flow):
        self.asked.append((verb, rows, flow))
        return self.estimate

    def submit(self, call, *, window, deadline, closed, flow, patient):
        if self.refusal:
            raise self.refusal
        self.submitted.append((call, window, deadline, closed, flow))
        return call


def scene(batcher=None, serving=None, **settings):
    version = SimpleNamespace(
        name="models/toy/versions/1",
        batcher=batcher or Batcher(),
        serving=Serving(**(serving or {})),
        description=SimpleNamespace(event=SimpleNamespace(row_bytes=10)),
        answer_row_bytes={"classify": 4},
    )
    return Admission(EngineSettings(**settings), PuppetClock()), version


def call_of(rows, width=24, verb="classify"):
    """Holds 100 bytes a row: 96 of input and 4 of the answer."""
    return Call(verb, rows, Options(), {"inputs": np.zeros((rows, width), np.float32)})


def test_a_deadline_that_cannot_be_met_is_refused_at_once_with_the_estimate():
    admission, version = scene(Batcher(estimate_s=40.0))
    with pytest.raises(DeadlineTooShort, match="40 s") as refusal:
        admission.admit_call(version, call_of(3), 10.0, A)
    assert refusal.value.metadata == {
        "estimate_seconds": "40.000",
        "rows_per_second": "8.000",
        "rows_before": "320",
    }
    assert version.batcher.submitted == []
    assert version.batcher.asked == [("classify", 3, A)]


def test_all_rows_of_a_stream_count():
    admission, version = scene(Batcher(estimate_s=40.0))
    with pytest.raises(DeadlineTooShort):
        admission.admit_draw(version, Call("sample", 1_000_000, Options()), 8, 10.0, A)
    assert version.batcher.asked == [("sample", 1_000_000, A)]


@pytest.mark.parametrize(
    ("estimate_s", "timeout_s"), [(None, 0.001), (10.0, None), (10.0 * DEADLINE_MARGIN, 10.0), (0.0, 0.0)]
)
def test_what_may_be_in_time_is_admitted(estimate_s, timeout_s):
    admission, version = scene(Batcher(estimate_s))
    assert admission.admit_call(version, call_of(3), timeout_s, A)


def test_one_caller_holds_at_most_half_of_the_bytes_and_others_find_room():
    admission, version = scene(max_held_bytes=4000)
    admission.admit_call(version, call_of(15), None, A)
    with pytest.raises(CallerLimit) as refusal:
        admission.admit_call(version, call_of(10), None, A)
    assert refusal.value.metadata == {"caller": A.caller, "caller_bytes": "1500", "max_caller_bytes": "2000"}
    assert refusal.value.retry_after_s == 1.0
    admission.admit_call(version, call_of(10), None, B)


def test_the_bytes_of_a_caller_have_a_limit_of_their_own():
    admission, version = scene(max_held_bytes=1 << 20, max_caller_bytes=2000)
    admission.admit_call(version, call_of(15), None, A)
    with pytest.raises(CallerLimit):
        admission.admit_call(version, call_of(10), None, A)
    with pytest.raises(OutOfRange, match="may hold 2000"):
        admission.admit_call(version, call_of(21), None, B)


def test_a_caller_that_holds_nothing_is_told_that_all_hold_too_much():
    admission, version = scene(max_held_bytes=4000)
    admission.admit_call(version, call_of(30), None)
    with pytest.raises(QueueFull) as refusal:
        admission.admit_call(version, call_of(8), None, A)
    assert refusal.value.reason == "QUEUE_FULL"
    assert refusal.value.retry_after_s == 1.0


def test_what_has_ended_or_was_refused_holds_nothing():
    admission, version = scene(max_held_bytes=4000)
    for _ in range(5):
        admission.admit_call(version, call_of(20), None, A)
        *_, closed, _ = version.batcher.submitted[-1]
        closed(None)
    version.batcher.refusal = QueueFull("full")
    for _ in range(5):
        with pytest.raises(QueueFull, match=r"^full$"):
            admission.admit_call(version, call_of(20), None, A)
    version.batcher.refusal = None
    assert admission.admit_call(version, call_of(20), None, A)


def test_a_call_of_more_rows_than_its_caller_can_ever_have_waiting_is_refused_for_good():
    admission, version = scene(serving={"max_queue_rows": 100})
    admission.check_size(version, "classify", 50, A)
    with pytest.raises(OutOfRange, match="50"):
        admission.check_size(version, "classify", 51, A)
    admission.check_size(version, "classify", 100)
    admission, version = scene(serving={"max_queue_rows": 100}, max_caller_rows=20)
    with pytest.raises(OutOfRange, match="20"):
        admission.check_size(version, "classify", 21, A)


def test_a_streams_window_is_no_more_than_its_caller_can_have_waiting():
    admission, version = scene(serving={"max_queue_rows": 100})
    assert admission.chunk_rows(version, 1000) == 25
    admission, version = scene(serving={"max_queue_rows": 100}, max_caller_rows=20)
    assert admission.chunk_rows(version, 1000) == 10
