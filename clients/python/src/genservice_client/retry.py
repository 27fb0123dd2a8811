"""When a call that failed is made again."""

import math
from dataclasses import dataclass

from genservice_client import errors
from genservice_client.clock import Clock
from genservice_client.status import is_transient


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a call that failed for a while is made again.

    The n-th wait is `min(max_backoff_s, initial_backoff_s * multiplier ** (n - 1))`, of which a random part up to
    half is taken off; where the server says when to come back, that is added.
    """

    max_attempts: int = 8
    """Attempts in all, the first one included. A stream counts from its last progress. 1: never again."""
    initial_backoff_s: float = 0.1
    """The first wait, in seconds."""
    multiplier: float = 2.0
    """How much longer each wait is than the one before."""
    max_backoff_s: float = 10.0
    """The longest wait, in seconds."""
    max_retry_after_s: float = 60.0
    """A server that asks for a longer wait, in seconds, is not waited for: the error goes to the caller."""

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}; it must be at least 1")

    def backoff_s(self, failures: int, jitter: float) -> float:
        """Gives the wait after a failure, in seconds.

        Args:
            failures: Failures in a row, 1 or more.
            jitter: From 0 to 1; 1 halves the wait.
        """
        # The exponent stops where every sensible policy has reached its longest wait, and before floats overflow.
        growth = self.multiplier ** min(failures - 1, 64)
        return min(self.max_backoff_s, self.initial_backoff_s * growth) * (1 - jitter / 2)


class Deadline:
    """The end of the time that a call may take, its retries included.

    Args:
        timeout_s: Seconds from now, greater than 0; None: no end.
        clock: What tells the time.
    """

    def __init__(self, timeout_s: float | None, clock: Clock) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"timeout_s is {timeout_s}; it must be greater than 0, or None for no limit")
        self._clock = clock
        self._end = math.inf if timeout_s is None else clock.now() + timeout_s

    def left_s(self) -> float | None:
        """Gives the seconds that are left, None where there is no end.

        Raises:
            DeadlineExceededError: None are.
        """
        if self._end == math.inf:
            return None
        left = self._end - self._clock.now()
        if left <= 0:
            raise errors.DeadlineExceededError("the time for the call is over")
        return left

    def allows(self, wait_s: float) -> bool:
        """Says whether there is time left after a wait."""
        return self._clock.now() + wait_s < self._end


class Backoff:
    """Counts the failures of one call and says how long to wait after each."""

    def __init__(self, policy: RetryPolicy, deadline: Deadline, clock: Clock) -> None:
        self._policy = policy
        self._deadline = deadline
        self._clock = clock
        self._failures = 0

    def reset(self) -> None:
        """Forgets the failures: there was progress."""
        self._failures = 0

    def after(self, error: errors.GenserviceClientError, *, transient: bool | None = None) -> float:
        """Gives the seconds to wait before the call is made again.

        Args:
            error: How the call failed.
            transient: Whether another attempt may succeed; None: as `is_transient` says.

        Raises:
            GenserviceClientError: The error itself, where another attempt would be in vain, too many or too late.
        """
        self._failures += 1
        transient = is_transient(error) if transient is None else transient
        if not transient or self._failures >= self._policy.max_attempts:
            raise error
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, errors.StatusError) else 0.0
        wait_s = asked_s + self._policy.backoff_s(self._failures, self._clock.random())
        if asked_s > self._policy.max_retry_after_s or not self._deadline.allows(wait_s):
            raise error
        return wait_s
