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
    def rows_ended(self, model: str, version: int, verb: str, outcome: str, rows: int) -> None: ...
    def queue_changed(self, model: str, version: int, queued_rows: int, running_rows: int) -> None: ...
    def state_changed(self, model: str, version: int, state: str, reason: str) -> None: ...
    def model_raised(self, model: str, version: int, verb: str, reference: str, error: BaseException) -> None: ...
