"""What the server counts, for Prometheus."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

UNLOADED = "UNLOADED"
"""The state after which nothing more is heard of a version."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = tuple(float(1 << exponent) for exponent in range(13))
_VERSION = ("model", "version")

Metric = TypeVar("Metric", bound=MetricWrapperBase)


class _Children(dict[tuple[str | int, ...], Metric], Generic[Metric]):
    """A metric's children by the values of their labels; `labels` itself takes a lock and builds strings each time."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: tuple[str | int, ...]) -> Metric:
        child = self[values] = self._metric.labels(*values)
        return child

    def forget(self, *first: str | int) -> None:
        """Drops the children whose labels begin with these values."""
        for values in [values for values in self if values[: len(first)] == first]:
            self._metric.remove(*values)
            del self[values]


class Metrics:
    """Counts what the engine and the RPCs tell; as an observer of the engine it is called on the event loop.

    The labels are bounded: models and versions that were loaded, verbs, outcomes and the methods that exist. The series
    of a version end when it is unloaded.

    Args:
        now: Seconds on a clock that only goes forward.

    Attributes:
        registry: Where the metrics are; of this object alone.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self.registry = CollectorRegistry()
        seconds: dict[str, Any] = {"registry": self.registry, "buckets": _SECONDS}
        rows: dict[str, Any] = {"registry": self.registry, "buckets": _ROWS}
        plain: dict[str, Any] = {"registry": self.registry}
        work = (*_VERSION, "verb")
        self._admitted = _Children(Counter("genservice_rows_admitted", "Rows taken in.", work, **plain))
        self._refused = _Children(
            Counter("genservice_rows_refused", "Rows refused, by the error's reason.", (*work, "reason"), **plain)
        )
        self._ended = _Children(
            Counter(
                "genservice_rows", "Rows that left the engine: ok, cancelled or a reason.", (*work, "outcome"), **plain
            )
        )
        self._batch_rows = _Children(Histogram("genservice_batch_rows", "Rows of a batch.", work, **rows))
        self._padding = _Children(
            Counter("genservice_padding_rows", "Rows that batches were padded with.", work, **plain)
        )
        self._queue_s = _Children(
            Histogram("genservice_queue_seconds", "Longest wait of a batch's rows for the batch.", work, **seconds)
        )
        self._run_s = _Children(Histogram("genservice_batch_run_seconds", "Time that a batch ran.", work, **seconds))
        self._errors = _Children(Counter("genservice_model_errors", "Times that a model's code raised.", work, **plain))
        self._queued = _Children(Gauge("genservice_queued_rows", "Rows that wait.", _VERSION, **plain))
        self._running = _Children(Gauge("genservice_running_rows", "Rows that a worker has.", _VERSION, **plain))
        self._state = _Children(
            Gauge("genservice_model_state", "1 for the state that a version is in.", (*_VERSION, "state"), **plain)
        )
        self._step_s = _Children(
            Histogram("genservice_step_seconds", "Time of a step of an iterative model.", _VERSION, **seconds)
        )
        self._step_rows = _Children(Histogram("genservice_step_rows", "Live rows of a step.", _VERSION, **rows))
        self._slots_used = _Children(Gauge("genservice_slots_used", "Slots with a live row.", _VERSION, **plain))
        self._between_chunks_s = _Children(
            Histogram("genservice_between_chunks_seconds", "Time between two chunks of a stream.", _VERSION, **seconds)
        )
        self._stream_s = _Children(
            Histogram("genservice_stream_seconds", "Time from a stream's admission to its end.", _VERSION, **seconds)
        )
        self._workers_lost = Counter(
            "genservice_workers_lost", "Workers that died by themselves.", ("worker",), **plain
        )
        self._first_chunk_s = _Children(
            Histogram(
                "genservice_first_chunk_seconds",
                "Time from a stream's admission to its first chunk.",
                _VERSION,
                **seconds,
            )
        )
        self._rpcs = _Children(Counter("genservice_rpcs", "RPCs that ended.", ("method", "code"), **plain))
        self._rpc_s = _Children(
            Histogram("genservice_rpc_seconds", "Time from an RPC's start to its end.", ("method",), **seconds)
        )
        self._drain_deadline = Gauge(
            "genservice_drain_deadline_timestamp_seconds",
            "When the drain under way is over at the latest, in Unix time; 0 while there is none.",
            **plain,
        )
        self._of_versions: tuple[_Children[Any], ...] = (
            self._admitted, self._refused, self._ended, self._batch_rows, self._padding, self._queue_s, self._run_s,
            self._errors, self._queued, self._running, self._state, self._first_chunk_s, self._between_chunks_s,
            self._stream_s, self._step_s, self._step_rows, self._slots_used,
        )  # fmt: skip

    def admitted(self, model: str, version: int, verb: str, rows: int) -> None:
        """A request was taken."""
        self._admitted[model, version, verb].inc(rows)

    def refused(self, model: str, version: int, verb: str, reason: str, rows: int) -> None:
        """A request was refused, for the error's reason."""
        # The rows are what a client claims, and may be negative where that is why it was refused.
        self._refused[model, version, verb, reason].inc(max(rows, 0))

    def batch_ran(
        self, model: str, version: int, verb: str, rows: int, padded_rows: int, queue_s: float, run_s: float
    ) -> None:
        """A batch ran."""
        labels = (model, version, verb)
        self._batch_rows[labels].observe(rows)
        self._padding[labels].inc(padded_rows - rows)
        self._queue_s[labels].observe(queue_s)
        self._run_s[labels].observe(run_s)

    def draws_began(self, model: str, version: int, rows: int, queue_s: float) -> None:
        """Rows were given to a worker to be drawn in slots."""
        del rows
        self._queue_s[model, version, "sample"].observe(queue_s)

    def step_ran(self, model: str, version: int, rows: int, padded_rows: int, run_s: float) -> None:
        """An iterative model made a step."""
        labels = (model, version)
        self._step_s[labels].observe(run_s)
        self._step_rows[labels].observe(rows)
        self._slots_used[labels].set(rows)
        self._padding[model, version, "sample"].inc(padded_rows - rows)

    def worker_lost(self, worker: str, reason: str) -> None:
        """A worker has died."""
        del reason
        self._workers_lost.labels(worker).inc()

    def rows_ended(self, model: str, version: int, verb: str, outcome: str, rows: int) -> None:
        """Rows left the engine."""
        self._ended[model, version, verb, outcome].inc(rows)

    def queue_changed(self, model: str, version: int, queued_rows: int, running_rows: int) -> None:
        """Rows that wait, and rows that a worker has."""
        self._queued[model, version].set(queued_rows)
        self._running[model, version].set(running_rows)
        if not running_rows and (model, version) in self._slots_used:
            self._slots_used[model, version].set(0)

    def state_changed(self, model: str, version: int, state: str, reason: str) -> None:
        """A version went into another state."""
        del reason
        if state == UNLOADED:
            for children in self._of_versions:
                children.forget(model, version)
        else:
            self._state.forget(model, version)
            self._state[model, version, state].set(1)

    def model_raised(self, model: str, version: int, verb: str, reference: str, error: BaseException) -> None:
        """The model's code raised."""
        del reference, error
        self._errors[model, version, verb].inc()

    def pace(self, model: str, version: int) -> "Pace":
        """Measures the times of a stream, which was admitted just now."""
        labels = (model, version)
        return Pace(self._first_chunk_s[labels], self._between_chunks_s[labels], self._stream_s[labels], self._now)

    def drain_began(self, deadline: float) -> None:
        """The server has begun to drain, and ends at this Unix time at the latest."""
        self._drain_deadline.set(deadline)

    def rpc_ended(self, method: str, code: str, seconds: float) -> None:
        """An RPC ended with the name of a status code."""
        self._rpcs[method, code].inc()
        self._rpc_s[method,].observe(seconds)


class Pace:
    """The times of one stream.

    Args:
        first_s: Time to the first chunk.
        between_s: Time between two chunks.
        whole_s: Time to the end.
        now: Seconds.
    """

    def __init__(self, first_s: Histogram, between_s: Histogram, whole_s: Histogram, now: Callable[[], float]) -> None:
        self._first_s, self._between_s, self._whole_s = first_s, between_s, whole_s
        self._now = now
        self._began = self._last = now()
        self._chunks = 0

    def told(self) -> None:
        """A chunk, a preview or a text was made."""
        now = self._now()
        (self._between_s if self._chunks else self._first_s).observe(now - self._last)
        self._last = now
        self._chunks += 1

    def ended(self) -> None:
        """The stream is whole."""
        self._whole_s.observe(self._now() - self._began)
