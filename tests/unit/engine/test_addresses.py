"""A sample has an address: whatever else goes on, and whichever worker draws it, its bits are the same."""

import asyncio
import os
import signal

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iterative_toys import Walk, WalkOptions

from genservice.engine.engine import Engine
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Chunk
from genservice.engine.workers import worker_makers
from genservice.model.noise import Noise, words
from genservice.plugin_host import Family
from genservice.store.manifest import Manifest, Serving
from genservice.store.names import ModelName
from genservice.store.store import ModelStore

SLOTS = (3, 8)
LIMIT_S = 120

REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(SLOTS),
            "seed": st.integers(0, 2**64 - 1),
            "first_index": st.integers(0, 2**40),
            "sample_count": st.integers(1, 12),
            "chunk_rows": st.integers(0, 5),
            "as_ready": st.booleans(),
            "options": st.fixed_dictionaries(
                {"steps": st.integers(1, 9), "scale": st.floats(0, 10, width=32).map(float)}
            ),
        }
    ),
    min_size=1,
    max_size=8,
)


class Place:
    """An engine over one kind of worker, on an event loop of its own."""

    def __init__(self, store, *workers):
        settings = EngineSettings(workers=workers)
        families = {"walk": Family("walk", Walk, "toys", "1.0")}
        self.runner = asyncio.Runner()
        self.engine = Engine(store, families, worker_makers(settings), settings)
        self.runner.run(self._start())

    async def _start(self):
        self.engine.start()
        await self.engine.started()

    def close(self):
        self.runner.run(self.engine.stop())
        self.runner.close()

    def draw(self, requests, deaths=()):
        """Draws all requests at once, and kills the workers when so many chunks have come."""

        async def draw():
            chunks = 0

            async def one(model, **request):
                nonlocal chunks
                stream = self.engine.sample(ModelName(f"walk-{model}"), **request)
                found = {}
                async for chunk in stream.events():
                    assert isinstance(chunk, Chunk)
                    chunks += 1
                    if chunks in deaths:
                        for child in psutil.Process().children():
                            os.kill(child.pid, signal.SIGKILL)
                    rows = [row for start, stop in chunk.ranges for row in range(start, stop)]
                    found.update(zip(rows, chunk.results["samples"], strict=True))
                return np.stack([found[row] for row in range(request["sample_count"])])

            async with asyncio.timeout(LIMIT_S):
                return await asyncio.gather(*(one(**request) for request in requests))

        return self.runner.run(draw())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = ModelStore([tmp_path_factory.mktemp("store")])
    for slots in SLOTS:
        serving = Serving(max_batch_rows=slots, batch_sizes=(slots,))
        manifest = Manifest(family="walk", plugin="toys", plugin_version="1.0", serving=serving)
        store.publish(f"walk-{slots}", lambda directory, manifest=manifest: manifest)
    return store


@pytest.fixture(scope="module", params=[("inline",), ("CPU:0",), ("CPU:0", "CPU:0")], ids=lambda kind: "+".join(kind))
def place(request, store):
    place = Place(store, *request.param)
    yield place
    place.close()


def expected(seed, first_index, sample_count, options, **_):
    """The samples by the model itself, without the engine."""
    model = Walk({})
    noise = Noise(
        words([seed] * sample_count),
        words([first_index + row for row in range(sample_count)]),
        np.zeros(sample_count, np.uint32),
    )
    chosen = {name: np.full(sample_count, value) for name, value in WalkOptions(**options)}
    return model.sample(noise, type("Columns", (), chosen), {})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_chunks_order_company_and_slots_change_no_bit(place, requests):
    for request, drawn in zip(requests, place.draw(requests), strict=True):
        np.testing.assert_array_equal(drawn, expected(**request))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# One death: a row that is alone with its worker when that dies twice is refused.
@given(REQUESTS, st.sets(st.integers(1, 6), min_size=1, max_size=1))
def test_workers_that_die_change_no_bit(place, requests, deaths):
    for request, drawn in zip(requests, place.draw(requests, deaths), strict=True):
        np.testing.assert_array_equal(drawn, expected(**request))
