"""What can be asked about models, without asyncio."""

from collections.abc import Iterator

from genservice_client.catalogue import Catalogue
from genservice_client.closing import Closing
from genservice_client.models import ModelInfo
from genservice_client.transport import run, run_each


class SyncCatalogue(Closing):
    """Lists, gives and watches models."""

    _verbs: Catalogue

    def models(self, *, timeout_s: float | None = None) -> list[ModelInfo]:
        """Lists the models, by name."""
        return run(self._verbs.models(timeout_s=timeout_s))

    def model(self, name: str, *, timeout_s: float | None = None) -> ModelInfo:
        """Gives a model with its versions; where the name has a version or a label, with that version alone."""
        return run(self._verbs.model(name, timeout_s=timeout_s))

    def watch_model(self, name: str, *, timeout_s: float | None = None) -> Iterator[ModelInfo]:
        """Gives a model now and whenever it changes, until the iteration is left.

        Args:
            name: The model.
            timeout_s: Seconds for the whole watch, reconnections included; None: no end, whatever the client's own.

        Raises:
            DeadlineExceededError: The time is over; while the iteration goes on, not at the call.
            GenserviceClientError: The watch cannot go on.
        """
        return run_each(self._verbs.watch_model(name, timeout_s=timeout_s))
