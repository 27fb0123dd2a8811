"""Replicas that take a minute to start, and the rows that wait for them; rows flow, they are not counted one by one."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy.simulate.proposals import Readings


@dataclass(frozen=True, slots=True)
class Replica:
    """What one replica can do, as `genservice bench capacity` measures it.

    Args:
        rows_per_second: Its capacity.
        in_system_s: Seconds that a row spends in it while nothing piles up.
        queue_rows: Rows that may wait in it; more are refused (`max_queue_rows`).
        queue_s: Seconds that a row may wait; then it is refused (`max_queue_s`).
        cold_start_s: Seconds from its creation until it is ready.
        pending_s: Those of them in which its pod does not run yet.
        drain_s: Seconds that it lives on, and is paid for, once it is to go.
    """

    rows_per_second: float
    in_system_s: float
    queue_rows: int = 16384
    queue_s: float = 20
    cold_start_s: float = 60
    pending_s: float = 20
    drain_s: float = 15


@dataclass(frozen=True, slots=True)
class Told:
    """What a scrape of all replicas found.

    Args:
        pods: Pods that told something.
        rows: Rows queued and running, over all of them.
    """

    pods: int
    rows: float


@dataclass(slots=True, eq=False)
class Fleet:
    """The replicas of one Deployment.

    Rows are spread evenly; those of a replica that goes are done elsewhere, as the SDK does it.

    Args:
        replica: What one can do.
        started: Replicas that are ready at second 0.
    """

    replica: Replica
    started: int
    refused: float = 0.0
    """Rows that found no room, or waited in vain."""
    served: float = 0.0
    """Rows that were done."""
    alive_s: float = 0.0
    """Seconds that replicas were paid for, over all."""
    rows_in_system: float = 0.0
    """Rows queued and running."""
    oldest_s: float = 0.0
    """How long the next row has waited."""
    _ready_at: list[float] = field(default_factory=list)
    _leaving: list[float] = field(default_factory=list)
    _queue: "deque[tuple[float, float]]" = field(default_factory=deque)
    _queued: float = 0.0
    _waits: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ready_at = [0.0] * self.started

    @property
    def replicas(self) -> int:
        """Replicas that are asked for."""
        return len(self._ready_at)

    def ready(self, now_s: float) -> int:
        """Replicas that serve."""
        return sum(at_s <= now_s for at_s in self._ready_at)

    def readings(self, now_s: float, then: "Told") -> Readings:
        """What the pods tell; those that load a model, or were not there when they were asked, have no metric.

        Args:
            now_s: When the pods are listed.
            then: What was told when they were asked.
        """
        loads_from = self.replica.pending_s - self.replica.cold_start_s
        pending = sum(at_s + loads_from > now_s for at_s in self._ready_at)
        values = [then.rows / then.pods] * min(then.pods, self.ready(now_s)) if then.pods else []
        return Readings(values, missing=self.replicas - len(values) - pending, pending=pending)

    def scale(self, now_s: float, replicas: int) -> None:
        """Makes replicas, or lets the youngest go."""
        self._ready_at += [now_s + self.replica.cold_start_s] * (replicas - self.replicas)
        self._ready_at.sort()
        for at_s in self._ready_at[replicas:]:
            self._leaving.append(now_s + (self.replica.drain_s if at_s <= now_s else 0))
        del self._ready_at[replicas:]

    def advance(self, now_s: float, rows: float, seconds: float = 1.0) -> None:
        """Lets time pass.

        Args:
            now_s: When that begins.
            rows: Rows that come in that time.
            seconds: How long it is.
        """
        ready = self.ready(now_s)
        while self._queue and now_s - self._queue[0][0] > self.replica.queue_s:
            _, rows_in_vain = self._queue.popleft()
            self._queued -= rows_in_vain
            self.refused += rows_in_vain
        self._leaving = [until_s for until_s in self._leaving if until_s > now_s]
        self.alive_s += (self.replicas + len(self._leaving)) * seconds
        room = ready * (self.replica.queue_rows + self.replica.rows_per_second * seconds) - self._queued
        taken = min(rows, max(0.0, room))
        self.refused += rows - taken
        if taken:
            self._queue.append((now_s, taken))
            self._queued += taken
        done = self._serve(now_s, ready * self.replica.rows_per_second * seconds)
        self.served += done
        self.oldest_s = now_s - self._queue[0][0] if self._queue else 0.0
        self.rows_in_system = self._queued + done / seconds * self.replica.in_system_s

    def _serve(self, now_s: float, most: float) -> float:
        """Takes rows from the head of the queue; how long each part waited is kept."""
        left = min(most, self._queued)
        done = left
        while left > 1e-9 and self._queue:
            since_s, rows = self._queue.popleft()
            part = min(rows, left)
            self._waits.append((now_s - since_s, part))
            left -= part
            if rows - part > 1e-9:
                self._queue.appendleft((since_s, rows - part))
        self._queued = max(0.0, self._queued - done) if self._queue else 0.0
        return done

    def wait_s(self, part: float) -> float:
        """Seconds that this part of the rows that were done waited at the most, such as 0.99 of them."""
        return percentile(self._waits, part)


def percentile(weighted: Sequence[tuple[float, float]], part: float) -> float:
    """The value that a part of the weight does not exceed; 0 where there is none."""
    due = part * sum(weight for _, weight in weighted)
    for value, weight in sorted(weighted):
        due -= weight
        if due <= 1e-6:
            return value
    return 0.0
