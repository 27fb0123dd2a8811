"""Fifty callers of a server process, each with its certificate, of which one floods."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import grpc
import numpy as np
import pytest
from authority import Authority

from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice.v1.classification_pb2 import ClassifyRequest
from genservice.v1.classification_pb2_grpc import ClassificationServiceStub
from genservice.v1.types_pb2 import DATA_TYPE_FLOAT32, Condition, Tensor

TOYS = Path(__file__).parent / "toys"
FLOOD = 50
"""Number of the caller that floods; the others have those below."""
FLOOD_REQUESTS = 300
"""Requests that it has in flight."""
BATCH_ROWS = 8
ROUNDS = 3
ROUND_REQUESTS = 20
"""Requests that each of the others makes in a round, one after the other."""
MOST_BEFORE = BATCH_ROWS
"""Most rows of the flood that go before a request of another, in the median: a batch. Each caller's share is a row in
fifty, and one after the other in the order of their coming, all that the flood has in flight would go first."""


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def store(tmp_path):
    store = ModelStore([tmp_path / "store"])

    def build(directory):
        serving = Serving(max_batch_rows=BATCH_ROWS, batch_sizes=(BATCH_ROWS,))
        return Manifest(family="steady", plugin="genservice-force", plugin_version="1.0", serving=serving)

    store.publish("steady", build)
    return tmp_path / "store"


@asynccontextmanager
async def callers(address, authority):
    """Stubs by number, each with a certificate of its own."""
    root = authority.certificate.read_bytes()
    async with AsyncExitStack() as channels:
        stubs = {}
        for number in range(1, FLOOD + 1):
            certificate, key = authority.issue(f"caller-{number}")
            credentials = grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())
            channel = await channels.enter_async_context(grpc.aio.secure_channel(address, credentials))
            stubs[number] = ClassificationServiceStub(channel)
        yield stubs


async def ask(stub, number):
    """Asks for one row; the time at which that began, and how long it took."""
    value = np.array([[number]], np.float32)
    tensor = Tensor(data_type=DATA_TYPE_FLOAT32, shape=value.shape, data=value.tobytes())
    started = time.monotonic()
    await stub.Classify(ClassifyRequest(model="models/steady", inputs=Condition(tensor=tensor)))
    return started, time.monotonic() - started


async def again_and_again(stub, number):
    return [await ask(stub, number) for _ in range(ROUND_REQUESTS)]


async def flood(stub):
    async def without_end():
        while True:
            await ask(stub, FLOOD)

    async with asyncio.TaskGroup() as requests:
        for _ in range(FLOOD_REQUESTS):
            requests.create_task(without_end())


async def others(stubs):
    """What a round of the others' requests took: by caller, beginnings and times in seconds."""
    modest = sorted(set(stubs) - {FLOOD})
    return dict(
        zip(modest, await asyncio.gather(*(again_and_again(stubs[each], each) for each in modest)), strict=True)
    )


async def rounds(running, stubs):
    """Rounds without the flood and beside it, in turn."""

    def queued_rows():
        return running.metric("genservice_queued_rows", model="steady")

    await others(stubs)  # what the connections cost is not measured
    quiet, beside = [], []
    for _ in range(ROUNDS):
        quiet.append(await others(stubs))
        flooding = asyncio.create_task(flood(stubs[FLOOD]))
        await asyncio.to_thread(running.wait_for, lambda: queued_rows() > FLOOD_REQUESTS / 2)
        beside.append(await others(stubs))
        flooding.cancel()
        await asyncio.wait([flooding])
        assert flooding.cancelled(), "a request of the flood was refused"
        await asyncio.to_thread(running.wait_for, lambda: queued_rows() == 0)
    return quiet, beside


def rows_before(batches, taken):
    """Rows of the flood that were taken while a request of another waited, for each of these."""
    waits = []
    for number, requests in taken.items():
        own = iter([(when, rows) for when, rows in batches if number in rows])
        for started, _ in requests:
            taken_at = next(when for when, _ in own if when > started)
            waits.append(sum(rows.count(FLOOD) for when, rows in batches if started < when < taken_at))
    return waits


def times(results):
    return [took for taken in results for requests in taken.values() for _, took in requests]


def test_beside_one_caller_that_floods_the_others_rows_are_not_behind_its_own(
    another_server, authority, store, tmp_path
):
    certificate, key = authority.issue("server")
    log = tmp_path / "batches"
    environment = {
        "PYTHONPATH": str(TOYS),
        "FORCE_BATCHES": str(log),
        "GENSERVICE_SERVER__TLS__CERTIFICATE": str(certificate),
        "GENSERVICE_SERVER__TLS__PRIVATE_KEY": str(key),
        "GENSERVICE_SERVER__TLS__CLIENT_CA": str(authority.certificate),
    }

    async def measure(running):
        async with callers(running.address, authority) as stubs:
            return await rounds(running, stubs)

    arguments = ["--store", store]
    with another_server(models={"steady"}, arguments=arguments, environment=environment) as running:
        quiet, beside = asyncio.run(measure(running))
    lines = [line.split() for line in log.read_text().splitlines()]
    batches = [(float(when), list(map(int, rows))) for when, *rows in lines]
    before = [rows for taken in beside for rows in rows_before(batches, taken)]
    ratio = median(times(beside)) / median(times(quiet))
    print(
        f"median time alone {median(times(quiet)) * 1000:.1f} ms, beside the flood {median(times(beside)) * 1000:.1f} "
        f"ms, ratio {ratio:.2f}; rows of the flood before a request: median {median(before)}, most {max(before)}"
    )
    assert median(before) <= MOST_BEFORE
