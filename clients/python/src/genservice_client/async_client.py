"""The client that is awaited."""

from collections.abc import Sequence
from typing import Unpack

from genservice_client.async_transport import AsyncRuntime
from genservice_client.closing import AsyncClosing
from genservice_client.endpoint import Endpoint, Settings
from genservice_client.verbs import Verbs


class AsyncClient(Verbs, AsyncClosing):
    """Asks a service, with asyncio. `Client` says what the methods do; each is to be awaited, or iterated over.

    The client belongs to the event loop that runs when it is first used.

    Args:
        target: As `Endpoint.target`.
        settings: As the fields of `Endpoint`.
    """

    def __init__(self, target: str | Sequence[str], **settings: Unpack[Settings]) -> None:
        super().__init__(AsyncRuntime(Endpoint(target, **settings)))
