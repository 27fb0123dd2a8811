"""The readers of one draw, one a replica, and when they are all at their end. No I/O."""

from collections.abc import Iterator

from genservice.v1 import generation_pb2
from genservice_client.asked import Asked
from genservice_client.clock import Clock
from genservice_client.errors import GenserviceClientError, StatusError, StreamChangedError
from genservice_client.replicas import Replica
from genservice_client.retry import Deadline, RetryPolicy
from genservice_client.status import is_replicas_own, is_transient
from genservice_client.transport import Call


class Lane:
    """What one replica is doing for a draw.

    Attributes:
        replica: The replica.
        asked: The request that it answers, or answered last.
        call: The stream of that; None: none is open.
        finishing: Whether the stream has given all of its samples and only its end is to come.
        failures: Failures in a row.
        attempts: Failures since any lane of the draw made progress.
        error: The last failure.
        left_out: Whether the replica is not asked any more.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.asked: Asked | None = None
        self.call: Call[generation_pb2.SampleResponse] | None = None
        self.finishing = False
        self.failures = 0
        self.attempts = 0
        self.error: GenserviceClientError | None = None
        self.left_out = False


class Lanes:
    """All lanes of a draw.

    Args:
        policy: How often and how soon a lane that failed tries again.
        deadline: The end of the time for the draw.
        clock: Where jitter comes from.
    """

    def __init__(self, policy: RetryPolicy, deadline: Deadline, clock: Clock) -> None:
        self._policy = policy
        self._deadline = deadline
        self._clock = clock
        self._lanes: list[Lane] = []

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def add(self, replica: Replica) -> Lane | None:
        """Makes the lane of a replica; None: it has one."""
        if any(lane.replica is replica for lane in self._lanes):
            return None
        self._lanes.append(Lane(replica))
        return self._lanes[-1]

    def remove(self, lane: Lane) -> None:
        """Takes away a lane whose replica is gone."""
        self._lanes.remove(lane)

    @property
    def working(self) -> int:
        """How many lanes have not just failed; 1 where all have."""
        return sum(not lane.failures and not lane.left_out for lane in self._lanes) or 1

    @property
    def opener(self) -> Lane | None:
        """The lane that begins the draw: of those that failed least, the first."""
        return min((lane for lane in self._lanes if not lane.left_out), key=lambda lane: lane.failures, default=None)

    def progress(self, lane: Lane) -> None:
        """Takes down that samples have come."""
        lane.failures = 0
        for other in self._lanes:
            other.attempts = 0

    def failed(self, lane: Lane, error: GenserviceClientError) -> float:
        """Takes down a failure.

        Returns:
            Seconds to rest.

        Raises:
            GenserviceClientError: The error itself, where no replica could do better; or, where no lane is left that
                could go on, the most telling error, with a note on each replica.
        """
        policy = self._policy
        lane.error = error
        lane.failures += 1
        lane.attempts += 1
        lane.left_out = isinstance(error, StreamChangedError)
        # The version was there when the draw began: where one replica does not have it, another one may.
        elsewhere = lane.asked is not None and lane.asked.pinned and is_replicas_own(error)
        if not (lane.left_out or elsewhere or is_transient(error)):
            raise error
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, StatusError) else 0.0
        wait_s = asked_s + policy.backoff_s(lane.failures, self._clock.random())
        if asked_s > policy.max_retry_after_s or not self._deadline.allows(wait_s):
            lane.attempts = policy.max_attempts
        self.check()
        return wait_s

    def check(self) -> None:
        """Holds that some lane can go on.

        Raises:
            GenserviceClientError: The most telling error, where none can.
        """
        if any(not lane.left_out and lane.attempts < self._policy.max_attempts for lane in self._lanes):
            return
        errors = [lane.error for lane in self._lanes if lane.error is not None]
        # That a replica has something else says more than that another one is gone.
        worst = min(errors, key=lambda error: not (isinstance(error, StreamChangedError) or is_replicas_own(error)))
        if len(errors) > 1:
            for lane in self._lanes:
                worst.add_note(f"{lane.replica.address.uri}: {type(lane.error).__name__}: {lane.error}")
        raise worst
