"""One caller that floods and forty-nine that do not; and who is who on the wire."""

import asyncio
import random
import statistics
from contextlib import suppress

import grpc
import numpy as np
import pytest

from genservice.engine.batcher import Batcher
from genservice.engine.call import Call
from genservice.engine.flow import Flow, Priority
from genservice.engine.observer import SilentObserver
from genservice.errors import QueueFull
from genservice.model.options import Options
from genservice.store.manifest import Serving
from genservice.testing.puppets import PuppetClock, PuppetReplica, settle
from genservice.v1.classification_pb2 import ClassifyRequest, StreamClassifyRequest
from genservice.v1.generation_pb2 import SampleRequest

BATCH_S = 0.010


class SteadyReplica(PuppetReplica):
    """Takes 10 ms for a batch of whatever size, one after the other, on the puppet's clock."""

    def __init__(self, clock):
        super().__init__()
        self._clock = clock
        self._free_at = 0.0

    async def run(self, batch):
        self._free_at = max(self._free_at, self._clock.now()) + BATCH_S
        await until(self._clock, self._free_at)
        return [{"probabilities": np.zeros((len(piece), 2))} for piece in batch]


async def until(clock, when):
    reached = asyncio.get_running_loop().create_future()
    clock.call_at(when, lambda: reached.done() or reached.set_result(None))
    await reached


class Crowd:
    """Callers of one version, on a clock of their own."""

    def __init__(self):
        self.clock = PuppetClock()
        serving = Serving(max_batch_rows=64, max_queue_rows=16384)
        self.batcher = Batcher("toy", 1, serving, self.clock, SilentObserver())
        self.batcher.attach(SteadyReplica(self.clock))
        self.times = []

    def answer(self, rows, caller):
        call = Call("classify", rows, Options())
        return self.batcher.submit(call, window=rows, deadline=None, closed=lambda _: None, flow=Flow(caller)).results()

    async def light(self, number):
        """One row at a time, again and again."""
        pauses = random.Random(number)
        while True:
            await until(self.clock, self.clock.now() + pauses.uniform(0, 0.005))
            started = self.clock.now()
            await self.answer(1, f"light {number}")
            self.times.append(self.clock.now() - started)

    async def flood(self):
        """Four times as many rows as there is time for, in small requests."""
        async with asyncio.TaskGroup() as answers:
            while True:
                for _ in range(4):
                    with suppress(QueueFull):
                        answers.create_task(self.answer(6, "flood"))
                await until(self.clock, self.clock.now() + 0.001)

    async def median_s(self, *callers):
        """Median time of a request of one row while these call."""
        tasks = [asyncio.create_task(caller) for caller in callers]
        for _ in range(400):
            await settle()
            await self.clock.advance(0.001)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(self.times) > 200
        return statistics.median(self.times)


async def test_beside_a_flood_the_others_median_time_at_most_doubles():
    quiet, crowd = Crowd(), Crowd()
    alone = await quiet.median_s(*map(quiet.light, range(49)))
    beside = await crowd.median_s(crowd.flood(), *map(crowd.light, range(49)))
    assert beside <= 2 * alone


@pytest.fixture
def flows_of(monkeypatch):
    """Makes a list of the flows with which an engine is called."""

    def watched(engine):
        seen = []
        for name in ("call", "sample"):
            method = getattr(engine, name)

            def note(*args, flow, method=method, **named):
                seen.append(flow)
                return method(*args, flow=flow, **named)

            monkeypatch.setattr(engine, name, note)
        return seen

    return watched


@pytest.fixture
def flows(running, flows_of):
    return flows_of(running.engine)


METADATA = (("genservice-caller", "nightly"), ("genservice-priority", "low"))


async def test_the_engine_is_told_whose_rows_they_are(running, flows, inputs, read_all):
    classify = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
    await running.classification.Classify(classify)
    await running.classification.Classify(classify, metadata=METADATA)
    await read_all(running.generation.Sample(SampleRequest(model="models/toy", sample_count=1), metadata=METADATA))
    low = Flow("ipv4:127.0.0.1", "nightly", 1.0, Priority.LOW)
    assert flows == [Flow("ipv4:127.0.0.1"), low, low]


async def test_the_requests_of_a_stream_have_the_flow_of_the_stream(running, flows, inputs):
    request = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
    requests = [StreamClassifyRequest(request=request)] * 3
    answers = [answer async for answer in running.classification.StreamClassify(iter(requests), metadata=METADATA)]
    assert len(answers) == 3
    assert flows == [Flow("ipv4:127.0.0.1", "nightly", 1.0, Priority.LOW)] * 3


async def test_the_settings_weights_reach_the_engine(serve, flows_of, inputs):
    async with serve(caller_weights={"ipv4:127.0.0.1": 3.0}) as running:
        flows = flows_of(running.engine)
        await running.classification.Classify(ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]])))
        assert [flow.weight for flow in flows] == [3.0]


@pytest.mark.parametrize(("key", "value"), [("genservice-priority", "urgent"), ("genservice-caller", "x" * 65)])
async def test_metadata_that_is_wrong_is_refused(running, refused, inputs, key, value):
    classify = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
    for call in (
        running.classification.Classify(classify, metadata=((key, value),)),
        running.generation.Sample(SampleRequest(model="models/toy", sample_count=1), metadata=((key, value),)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, f"metadata.{key}")


async def test_a_caller_over_its_limit_is_told_so_and_when_to_come_back(serve, refused, gate, read_all):
    # A stream of `gated` holds two chunks of one row of 8 bytes: 16 of the 64 of which a caller has half.
    async with serve(engine={"max_held_bytes": 64}) as running:
        gate.shut()
        request = SampleRequest(model="models/gated", sample_count=4, chunk_rows=1)
        held = [asyncio.ensure_future(read_all(running.generation.Sample(request))) for _ in range(2)]
        await running.told.until(lambda: running.told.admissions == 2)
        refusal = await refused(running.generation.Sample(request))
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMIT")
        assert dict(refusal.info.metadata) == {
            "caller": "ipv4:127.0.0.1",
            "caller_bytes": "32",
            "max_caller_bytes": "32",
        }
        assert refusal.retry.retry_delay.ToMilliseconds() == 1000
        gate.open()
        assert all(messages[-1].HasField("summary") for messages in await asyncio.gather(*held))


async def test_a_deadline_that_is_too_short_is_refused_at_once(running, refused, monkeypatch):
    version = running.engine.catalog.versions("toy")[0]
    monkeypatch.setattr(Batcher, "estimate_s", lambda *_: 1000.0)
    monkeypatch.setattr(Batcher, "rows_per_second", property(lambda _: {"sample": 2.0}))
    refusal = await refused(
        running.generation.Sample(SampleRequest(model=str(version.name), sample_count=2000), timeout=20)
    )
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT")
    assert refusal.info.metadata["estimate_seconds"] == "1000.000"
