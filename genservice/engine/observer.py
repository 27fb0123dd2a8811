"""What the engine tells about itself; `genservice.telemetry` listens."""

from typing import Protocol


class Observer(Protocol):
    """Is told what happens; called on the event loop, so it must be quick and may not raise."""

    def admitted(self, model: str, version: int, verb: str, rows: int) -> None:
        """A request was taken."""

    def refused(self, model: str, version: int, verb: str, reason: str, rows: int) -> None:
        """A request was refused, for the error's reason."""

    def batch_ran(
        self, model: str, version: int, verb: str, rows: int, padded_rows: int, queue_s: float, run_s: float
    ) -> None:
        """A batch ran: its rows, the size it was padded to, the longest wait of one of its rows, and its own time."""

    def draws_began(self, model: str, version: int, rows: int, queue_s: float) -> None:
        """Rows were given to a worker to be drawn in slots; the longest wait of one of them."""

    def step_ran(self, model: str, version: int, rows: int, padded_rows: int, run_s: float) -> None:
        """An iterative model made a step: its live rows, the slots that were computed, and its time."""

    def worker_lost(self, worker: str, reason: str) -> None:
        """A worker has died."""

    def rows_ended(self, model: str, version: int, verb: str, outcome: str, rows: int) -> None:
        """Rows left the engine: `ok`, `cancelled` or an error's reason."""

    def queue_changed(self, model: str, version: int, queued_rows: int, running_rows: int) -> None:
        """Rows that wait, and rows that a worker has."""

    def state_changed(self, model: str, version: int, state: str, reason: str) -> None:
        """A version went into another state."""

    def model_raised(self, model: str, version: int, verb: str, reference: str, error: BaseException) -> None:
        """The model's code raised; the client was told the reference alone."""


class SilentObserver:
    """Tells nobody."""

    def admitted(self, model: str, version: int, verb: str, rows: int) -> None: ...
    def refused(self, model: str, version: int, verb: str, reason: str, rows: int) -> None: ...
    def batch_ran(
        self, model: str, version: int, verb: str, rows: int, padded_rows: int, queue_s: float, run_s: float
    ) -> None: ...
    def draws_began(self, model: str, version: int, rows: int, queue_s: float) -> None: ...
    def step_ran(self, model: str, version: int, rows: int, padded_rows: int, run_s: float) -> None: ...
    def worker_lost(self, worker: str, reason: str) -> None: ...
    def rows_ended(self, model: str, version: int, verb: str, outcome: str, rows: int) -> None: ...
    def queue_changed(self, model: str, version: int, queued_rows: int, running_rows: int) -> None: ...
    def state_changed(self, model: str, version: int, state: str, reason: str) -> None: ...
    def model_raised(self, model: str, version: int, verb: str, reference: str, error: BaseException) -> None: ...
