"""How clients are closed: those that are awaited, and those that block."""

from types import TracebackType
from typing import Self

from genservice_client.calls import Calls
from genservice_client.transport import run


class AsyncClosing(Calls):
    """A client that is closed by awaiting, and at the end of `async with`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Closing:
    """A client that is closed at once, and at the end of `with`."""

    _verbs: Calls

    def close(self) -> None:
        """Ends all calls and closes the connections."""
        run(self._verbs.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
