"""Worker processes with families of a few lines, and the same inline."""

import asyncio
from importlib import import_module
from pathlib import Path

import pytest

from genservice.engine.inline import InlineWorker
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest
from genservice.store.manifest import Serving

TOYS = Path(__file__).parent / "toys"


async def until(condition):
    """Waits for what another process, or the event loop, brings about."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what happens elsewhere sets no event here
            await asyncio.sleep(0.001)


def alive(pid):
    """Whether a process runs; one that its parent has not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture(name="alive")
def alive_fixture():
    return alive


@pytest.fixture
def toys(monkeypatch):
    """The module of toy families; worker processes find it as this process does, on `sys.path`."""
    monkeypatch.syspath_prepend(TOYS)
    return import_module("process_toys")


class Started:
    """A worker process, and what it wrote."""

    def __init__(self, clock=None, **settings):
        self.lines = []
        self.settings = EngineSettings(**settings)
        self.worker = ProcessWorker(self.settings, clock=clock, on_output=self.lines.append)

    async def load(self, kind, config=None, directory="v1", **serving):
        serving = Serving(**{"max_batch_rows": 8, **serving})
        return await self.worker.load(LoadRequest(kind(config or {}), Path(directory), serving))

    async def line(self, text):
        await until(lambda: any(text in line for line in self.lines))


@pytest.fixture
async def start(toys):
    """Starts worker processes, and ends those that are left."""
    begun = []

    async def start(**settings):
        started = Started(**settings)
        begun.append(started.worker)
        await started.worker.start()
        return started

    yield start
    for worker in begun:
        await worker.close()


@pytest.fixture
async def both(start):
    """A version in a worker process, and the same inline."""
    inline = InlineWorker(EngineSettings())
    await inline.start()

    async def both(kind, config=None, **serving):
        started = await start()
        here = LoadRequest(kind(config or {}), Path("v1"), Serving(**{"max_batch_rows": 8, **serving}))
        return await started.load(kind, config, **serving), await inline.load(here)

    yield both
    await inline.close()
