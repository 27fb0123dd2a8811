import asyncio

import pytest

from clients.python.tests.fake_calls import Cut
from clients.python.tests.fake_service import start, stop
from clients.python.tests.side import Side


@pytest.fixture
def running():
    running = start()
    yield running
    stop(running)


@pytest.fixture
def service(running):
    return running.service


@pytest.fixture
def another_service():
    """Starts further services."""
    started = []

    def begin(credentials=None, address="127.0.0.1:0"):
        started.append(start(credentials, address))
        return started[-1]

    yield begin
    for running in started:
        stop(running)


@pytest.fixture(params=["sync", "async"])
async def side(request):
    side = Side(request.param)
    yield side
    await side.close()
    await asyncio.sleep(0)


@pytest.fixture
def client(side, running):
    return side.client(running.target)


@pytest.fixture
def clock(side):
    return side.clock


@pytest.fixture
def cut():
    """How a scripted call ends."""
    return Cut
