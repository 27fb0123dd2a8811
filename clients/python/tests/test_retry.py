import math

import pytest

from genservice_client import RetryPolicy, UnavailableError
from genservice_client.clock import Clock
from genservice_client.errors import DeadlineExceededError
from genservice_client.retry import Backoff, Deadline


class StoppedClock(Clock):
    time = 0.0

    def now(self):
        return self.time

    def random(self):
        return 1.0


def test_waits_grow_up_to_the_longest():
    policy = RetryPolicy(initial_backoff_s=1, multiplier=3, max_backoff_s=5)
    assert [policy.backoff_s(failures, 0) for failures in (1, 2, 3, 10_000)] == [1, 3, 5, 5]


def test_jitter_takes_off_up_to_half():
    assert RetryPolicy(initial_backoff_s=1).backoff_s(1, 1.0) == 0.5


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for():
    clock = StoppedClock()
    backoff = Backoff(RetryPolicy(max_retry_after_s=60), Deadline(None, clock), clock)
    assert backoff.after(UnavailableError("x", retry_after_s=60.0)) > 60
    with pytest.raises(UnavailableError):
        backoff.after(UnavailableError("x", retry_after_s=61.0))


def test_a_deadline_that_has_passed_is_an_error():
    clock = StoppedClock()
    deadline = Deadline(2, clock)
    assert deadline.left_s() == 2
    clock.time = 2
    with pytest.raises(DeadlineExceededError):
        deadline.left_s()
    assert Deadline(None, clock).left_s() is None
    assert Deadline(None, clock).allows(1e9)


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan])
def test_a_timeout_that_is_none_is_refused(timeout_s):
    with pytest.raises(ValueError, match="timeout_s"):
        Deadline(timeout_s, Clock())


def test_a_policy_without_attempts_is_refused():
    with pytest.raises(ValueError, match="max_attempts"):
        RetryPolicy(max_attempts=0)
