"""What the engine's owner gives it: metrics, and lines in the log where a person should know."""

from genservice.telemetry.logs import logger
from genservice.telemetry.metrics import Metrics

FAILED = "FAILED"


class Telemetry(Metrics):
    """Counts everything, and logs the states of models and what their code raises."""

    def __init__(self) -> None:
        super().__init__()
        self._log = logger("genservice.engine")

    def state_changed(self, model: str, version: int, state: str, reason: str) -> None:
        """A version went into another state."""
        super().state_changed(model, version, state, reason)
        if state == FAILED:
            self._log.error("model failed", model=model, version=version, state=state, reason=reason)
        else:
            self._log.info("model state", model=model, version=version, state=state)

    def worker_lost(self, worker: str, reason: str) -> None:
        """A worker has died."""
        super().worker_lost(worker, reason)
        self._log.error("worker lost", worker=worker, reason=reason)

    def model_raised(self, model: str, version: int, verb: str, reference: str, error: BaseException) -> None:
        """The model's code raised; the line has the whole exception under the reference that the client was told."""
        super().model_raised(model, version, verb, reference, error)
        self._log.error("model raised", model=model, version=version, verb=verb, reference=reference, exc_info=error)
