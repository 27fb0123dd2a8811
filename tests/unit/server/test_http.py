"""The small HTTP port."""

import asyncio

import pytest

from genservice.server.address import Address
from genservice.server.http import MOST_CONNECTIONS, HttpPort, Page


@pytest.fixture
async def port():
    port = HttpPort({"/page": lambda headers: Page(headers.get("accept", "none").encode())})
    address = await port.start(Address("127.0.0.1", 0))
    yield address
    await port.close()


async def ask(address, request):
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else None, head, body


async def test_a_page_is_made_from_the_headers(port):
    status, head, body = await ask(port, b"GET /page?x=1 HTTP/1.1\r\nACCEPT:  text/plain \r\n\r\n")
    assert (status, body) == (200, b"text/plain")
    assert b"Content-Length: 10" in head


async def test_head_has_no_body(port):
    status, head, body = await ask(port, b"HEAD /page HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, b"")
    assert b"Content-Length: 4" in head


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /page HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET /page HTTP/1.1\r\nx: " + b"y" * 9000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_it_cannot_answer_it_refuses(port, request_bytes, status):
    assert (await ask(port, request_bytes))[0] == status


async def test_a_client_that_says_nothing_is_sent_away():
    port = HttpPort({}, request_limit_s=0)
    address = await port.start(Address("127.0.0.1", 0))
    assert (await ask(address, b""))[0] is None
    await port.close()


async def test_connections_are_bounded(port):
    idle = [await asyncio.open_connection(port.host, port.port) for _ in range(MOST_CONNECTIONS)]
    assert (await ask(port, b""))[0] is None
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
