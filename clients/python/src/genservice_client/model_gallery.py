"""A gallery and the model that fills it. Written once: `ModelGallery` runs these coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genservice_client.classifying import Options
from genservice_client.comparison import Identification
from genservice_client.endpoint import Priority
from genservice_client.gallery import Gallery
from genservice_client.options import OptionLike
from genservice_client.row_values import RowsLike

if TYPE_CHECKING:
    from genservice_client.comparing import Comparing


class AsyncModelGallery:
    """A gallery with the model that embeds, with asyncio. `ModelGallery` says what the methods do."""

    def __init__(self, verbs: Comparing, model: str, entries: Gallery) -> None:
        self.entries = entries
        """The names and embeddings."""
        self._verbs = verbs
        self._model = model

    async def enrol(
        self,
        name: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> None:
        """Adds someone, as `ModelGallery.enrol` does."""
        await self._verbs.enrol(
            self._model,
            name,
            inputs,
            self.entries,
            timeout_s=timeout_s,
            priority=priority,
            options=options,
            **more_options,
        )

    async def identify(
        self,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Identification:
        """Finds inputs in the gallery, as `ModelGallery.identify` does."""
        return await self._verbs.identify(
            self._model, inputs, self.entries, timeout_s=timeout_s, priority=priority, options=options, **more_options
        )
