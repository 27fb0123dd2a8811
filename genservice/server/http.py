"""A small HTTP port: pages that are made when asked for, one request a connection."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from genservice.errors import SettingsError
from genservice.server.address import Address

MOST_HEAD_BYTES = 8192
MOST_CONNECTIONS = 64
REQUEST_LIMIT_S = 10.0
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer.

    Args:
        body: Its content.
        status: Status code.
        content_type: What the body is.
    """

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"


Headers = Mapping[str, str]
"""Header fields by their names in lower case."""


class HttpPort:
    """Serves GET and HEAD of some paths.

    Args:
        pages: What makes the page of a path, from the request's headers.
        request_limit_s: Seconds in which a request must have come and its answer gone.
    """

    def __init__(
        self, pages: Mapping[str, Callable[[Headers], Page]], *, request_limit_s: float = REQUEST_LIMIT_S
    ) -> None:
        self._pages = pages
        self._request_limit_s = request_limit_s
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: Address) -> Address:
        """Listens.

        Args:
            address: Where to.

        Returns:
            The address with the port that was taken.

        Raises:
            SettingsError: It cannot listen there.
        """
        try:
            self._server = await asyncio.start_server(
                self._connected, address.host, address.port, limit=MOST_HEAD_BYTES, reuse_port=False
            )
        except OSError as fault:
            raise SettingsError(
                f"The setting http_listen, {address}, cannot be used: {fault.strerror or fault}."
            ) from fault
        return Address(address.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening, and ends the connections."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            async with asyncio.timeout(self._request_limit_s):
                if len(self._connections) > MOST_CONNECTIONS:
                    return
                page, with_body = await self._answer(reader)
                writer.write(_head(page) + (page.body if with_body else b""))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # The client is too slow, or has gone: there is nobody to tell.
        finally:
            self._connections.discard(connection)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Page, bool]:
        try:
            head = await reader.readuntil(_END)
        except asyncio.LimitOverrunError:
            return _page_of(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), True
        request, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        match request.split(" "):
            case [method, target, version] if version.startswith("HTTP/1."):
                pass
            case _:
                return _page_of(HTTPStatus.BAD_REQUEST), True
        make = self._pages.get(target.partition("?")[0])
        if make is None:
            return _page_of(HTTPStatus.NOT_FOUND), method != "HEAD"
        if method not in ("GET", "HEAD"):
            return _page_of(HTTPStatus.METHOD_NOT_ALLOWED), True
        pairs = (field.partition(":") for field in fields)
        return make({name.strip().lower(): value.strip() for name, _, value in pairs}), method == "GET"


def _page_of(status: HTTPStatus) -> Page:
    return Page(f"{status.phrase}.\n".encode(), status)


def _head(page: Page) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return "\r\n".join(lines).encode() + _END
