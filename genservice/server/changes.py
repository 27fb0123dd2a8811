"""Wakes those who watch models."""

import asyncio
from collections.abc import AsyncGenerator

from genservice.engine.catalog import Catalog
from genservice.errors import ServerDraining


class Changes:
    """Tells watchers that a model has changed; changes that come faster than a watcher reads are one to it.

    Args:
        catalog: Says which model has changed.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._watchers: set[tuple[str, asyncio.Event]] = set()
        self._closed = False
        self._stop_listening = catalog.listen(self._changed)

    async def watch(self, model: str = "") -> AsyncGenerator[None, None]:
        """Yields at once and after each change.

        Args:
            model: Name of the model; empty: any.

        Raises:
            ServerDraining: The server shuts down.
        """
        wake = asyncio.Event()
        wake.set()
        watcher = (model, wake)
        self._watchers.add(watcher)
        try:
            while True:
                await wake.wait()
                wake.clear()
                closed = self._closed
                yield
                if closed:
                    raise ServerDraining("The server is shutting down: watch another replica.", retry_after_s=1.0)
        finally:
            self._watchers.discard(watcher)

    def wake_all(self) -> None:
        """Wakes every watcher, since something has changed that is not a model's."""
        for _, wake in self._watchers:
            wake.set()

    def close(self) -> None:
        """Ends every watcher, after one last look."""
        self._closed = True
        self._stop_listening()
        self.wake_all()

    def _changed(self, model: str) -> None:
        for watched, wake in self._watchers:
            if watched in ("", model):
                wake.set()
