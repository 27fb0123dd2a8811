"""Clients that take nothing of a stream, and clients that take their time."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from genservice.v1.classification_pb2 import ClassifyRequest, StreamClassifyRequest
from genservice.v1.classification_pb2_grpc import ClassificationServiceStub
from genservice.v1.generation_pb2 import SAMPLE_ORDER_AS_READY, SampleRequest
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.models_pb2 import WatchModelRequest
from genservice.v1.models_pb2_grpc import ModelServiceStub

ROWS = 16384
"""Of 12 bytes: more than the client's window and gRPC's buffer together."""
TIMEOUT_S = 300
PATIENT = {"max_queue_s": 0, "max_caller_rows": 8 * ROWS}
SAMPLE = "/genservice.v1.GenerationService/Sample"
SMALL = SampleRequest(model="models/toy", sample_count=1)


@pytest.fixture
async def leap(monkeypatch):
    """Makes the event loop's clock leap: `await leap(seconds)`."""
    loop = asyncio.get_running_loop()
    time, leaps = loop.time, []
    monkeypatch.setattr(loop, "time", lambda: time() + sum(leaps))

    async def forward(seconds):
        leaps.append(seconds)
        # In the first round its timers call back, in the second what they woke runs.
        for _ in range(2):
            await asyncio.sleep(0)

    return forward


@pytest.fixture
def large(store, publish):
    """A model whose chunks are larger than what may be on its way to a client that takes nothing."""
    publish(store, "large", "toy", max_batch_rows=ROWS, batch_sizes=[1, ROWS], max_queue_rows=8 * ROWS)
    return SampleRequest(model="models/large", seed=7, first_index=5, sample_count=1 << 30, chunk_rows=ROWS)


@pytest.fixture
async def small_window():
    """Opens channels whose window stays at 64 KiB."""
    channels = []

    def connect(running):
        channels.append(grpc.aio.insecure_channel(running.server.address, [("grpc.http2.bdp_probe", 0)]))
        return channels[-1]

    yield connect
    for channel in channels:
        await channel.close()


def ended(running, method=SAMPLE, code="ABORTED"):
    return running.value("genservice_rpcs_total", method=method, code=code) or 0


async def rest(call):
    """What a call gives after the messages that were read one by one."""
    while (message := await call.read()) is not grpc.aio.EOF:
        yield message


async def until(condition, running, read_all, leap):
    """Lets time pass until a condition is true; meanwhile others are served."""
    while not condition():
        await leap(TIMEOUT_S + 1)
        await read_all(running.generation.Sample(SMALL))


async def test_a_stream_whose_client_takes_nothing_ends_and_gives_back_all_that_it_holds(
    serve, large, small_window, read_all, refused, leap
):
    # The stream holds two chunks, and a caller has half.
    async with serve(engine={**PATIENT, "max_held_bytes": 6 * 12 * ROWS}) as running:
        stub = GenerationServiceStub(small_window(running))
        unread = stub.Sample(large)
        assert (await unread.read()).HasField("header")
        refusal = await refused(stub.Sample(large))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        with capture_logs() as logs:
            await until(lambda: ended(running), running, read_all, leap)
        (line,) = [entry for entry in logs if entry["event"] == "rpc" and entry["code"] == "ABORTED"]
        assert (line["method"], line["model"]) == (SAMPLE, "models/large/versions/1")
        assert line["message"] == "The client took no response for 300 s."
        assert ("large", "sample", "cancelled") in running.told.outcomes
        for gauge in ("genservice_queued_rows", "genservice_running_rows"):
            assert running.value(gauge, model="large", version=1) == 0
        next_one = stub.Sample(large)
        assert (await next_one.read()).HasField("header")
        next_one.cancel()


async def test_a_client_that_reads_on_gets_what_was_sent_and_is_told_where_to_go_on(
    serve, large, small_window, read_all, refused, leap
):
    async with serve(engine=PATIENT) as running:
        unread = GenerationServiceStub(small_window(running)).Sample(large)
        assert (await unread.read()).HasField("header")
        await until(lambda: ended(running), running, read_all, leap)
        chunks = []

        async def kept():
            async for message in rest(unread):
                chunks.append(message.chunk)
                yield message

        refusal = await refused(kept())
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.ABORTED, "WRITE_TIMEOUT")
    assert refusal.retry.retry_delay.ToMilliseconds() == 0
    assert dict(refusal.info.metadata) == {"next_index": str(chunks[-1].indexes[0].end)}
    assert chunks[0].indexes[0].start == large.first_index


async def test_samples_in_any_order_have_no_next_index(serve, large, small_window, read_all, refused, leap):
    large.order = SAMPLE_ORDER_AS_READY
    async with serve(engine=PATIENT) as running:
        unread = GenerationServiceStub(small_window(running)).Sample(large)
        assert (await unread.read()).HasField("header")
        await until(lambda: ended(running), running, read_all, leap)
        refusal = await refused(rest(unread))
        assert (refusal.info.reason, dict(refusal.info.metadata)) == ("WRITE_TIMEOUT", {})


async def test_a_stream_whose_status_is_not_taken_either_is_reset(serve, large, small_window, read_all, refused, leap):
    async with serve(engine=PATIENT, max_concurrent_rpcs=1) as running:
        unread = GenerationServiceStub(small_window(running)).Sample(large)
        assert (await unread.read()).HasField("header")
        while not ended(running):
            await leap(TIMEOUT_S + 1)
        refusal = await refused(running.generation.Sample(SMALL))
        assert refusal.message == "Concurrent RPC limit exceeded!"
        await leap(TIMEOUT_S + 1)
        # gRPC refers to the latest RPC until there are others.
        for _ in range(3):
            await read_all(running.generation.Sample(SMALL))
        assert (await refused(rest(unread))).code is grpc.StatusCode.CANCELLED


async def test_a_client_that_takes_its_time_is_served_to_the_end(serve, large, small_window, leap):
    large.sample_count = 6 * ROWS
    async with serve(engine=PATIENT) as running:
        slow = GenerationServiceStub(small_window(running)).Sample(large)
        rows = 0
        async for message in slow:
            rows += sum(each.end - each.start for each in message.chunk.indexes)
            await leap(TIMEOUT_S - 10)
        assert rows == large.sample_count


async def test_without_a_limit_a_client_may_take_for_ever(serve, large, small_window, read_all, leap):
    large.sample_count = 6 * ROWS
    async with serve(engine=PATIENT, write_timeout_s=0) as running:
        slow = GenerationServiceStub(small_window(running)).Sample(large)
        assert (await slow.read()).HasField("header")
        for _ in range(20):
            await leap(10**6)
            await read_all(running.generation.Sample(SMALL))
        assert (await read_all(rest(slow)))[-1].HasField("summary")


async def test_a_watch_that_has_nothing_to_say_goes_on(running, leap):
    watch = running.models.WatchModel(WatchModelRequest(name="models/toy"))
    assert (await watch.read()).model.name == "models/toy"
    await leap(10 * TIMEOUT_S)
    running.engine.catalog.changed("toy")
    assert (await watch.read()).model.name == "models/toy"


@pytest.mark.parametrize("kind", ["answers", "changes"])
async def test_other_streams_that_nobody_reads_end_too(serve, inputs, small_window, read_all, leap, kind):
    async with serve(engine=PATIENT) as running:
        channel = small_window(running)
        if kind == "answers":
            method = "/genservice.v1.ClassificationService/StreamClassify"
            classify = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]] * 1000))
            call = ClassificationServiceStub(channel).StreamClassify()

            async def fill():
                while True:
                    await call.write(StreamClassifyRequest(request=classify))

            filling = asyncio.ensure_future(fill())
        else:
            method = "/genservice.v1.ModelService/WatchModel"
            call = ModelServiceStub(channel).WatchModel(WatchModelRequest(name="models/toy"))
            assert await call.read()

            async def fill():
                while True:
                    running.engine.catalog.changed("toy")
                    await asyncio.sleep(0)

            filling = asyncio.ensure_future(fill())
        await until(lambda: ended(running, method), running, read_all, leap)
        filling.cancel()
        call.cancel()
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError)):
            await filling
