"""Streams that wait for room."""

from genservice.engine.call import Call
from genservice.engine.flow import Flow
from genservice.engine.queue import RowQueue
from genservice.engine.submission import Submission
from genservice.engine.wanting import Wanting
from genservice.model.options import Options

KEY = ("sample",)


def submission_of(rows, caller):
    call = Call("sample", rows, Options())
    return Submission(call, window=rows, wanting=lambda _: None, closed=lambda *_: None, flow=Flow(caller))


def scene(*limits):
    queue = RowQueue(*limits)
    return queue, Wanting(queue, lambda _: KEY)


def test_what_there_is_room_for_is_granted_and_the_rest_later():
    queue, wanting = scene(100)
    first, second = submission_of(40, "a"), submission_of(40, "a")
    wanting.add(first)
    wanting.add(second)
    assert wanting.grant(1.0)
    assert (first.granted_rows, second.granted_rows) == (40, 10)
    assert "a" in wanting
    assert not wanting.grant(2.0)
    queue.take(30)
    assert wanting.grant(3.0)
    assert (second.granted_rows, second.waiting_since) == (40, 3.0)
    assert "a" not in wanting


def test_a_caller_at_its_limit_stops_nobody_else():
    queue, wanting = scene(100)
    flood, light = submission_of(1000, "flood"), submission_of(3, "light")
    wanting.add(flood)
    wanting.add(light)
    wanting.grant(1.0)
    assert (flood.granted_rows, light.granted_rows) == (50, 3)
    assert queue.rows == 53
    assert "light" not in wanting


def test_callers_have_their_turns_when_there_is_room_for_few():
    queue, wanting = scene(4)
    submissions = [submission_of(10, caller) for caller in "abc"]
    for submission in submissions:
        wanting.add(submission)
    for now in range(40):
        wanting.grant(float(now))
        queue.take(1)
    assert [submission.granted_rows for submission in submissions] == [10, 10, 10]


def test_one_that_has_ended_is_forgotten():
    _, wanting = scene(4)
    gone, other = submission_of(10, "a"), submission_of(1, "a")
    wanting.add(gone)
    wanting.add(other)
    wanting.discard(gone)
    assert "a" in wanting
    wanting.discard(other)
    wanting.discard(other)
    assert "a" not in wanting
    ended = submission_of(10, "a")
    wanting.add(ended)
    ended.cancel()
    assert not wanting.grant(1.0)
    assert "a" not in wanting
