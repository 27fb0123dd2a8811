"""GenerationService through a real channel."""

import asyncio
from io import BytesIO

import grpc
import numpy as np
import pytest
from PIL import Image

from genservice.v1 import types_pb2
from genservice.v1.generation_pb2 import (
    SCORE_KIND_EXACT,
    DecodeRequest,
    EncodeRequest,
    InterpolateRequest,
    Output,
    SampleRequest,
    ScoreRequest,
)
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.types_pb2 import Condition, OptionValue, StringRows

TOY = "models/toy"


def array(tensor, dtype="<f4"):
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape)


def samples(messages):
    return np.concatenate([array(message.chunk.tensor) for message in messages if message.HasField("chunk")])


async def test_a_stream_is_a_header_chunks_in_order_and_a_summary(running, read_all):
    header, *chunks, summary = await read_all(
        running.generation.Sample(SampleRequest(model=TOY, seed=7, first_index=5, sample_count=10, chunk_rows=4))
    )
    assert header.header.model == "models/toy/versions/1"
    assert len(header.header.content_hash) == 64
    assert header.header.seed == 7
    assert header.header.determinism == types_pb2.DETERMINISM_SAME_DRAWS
    assert "numpy" in header.header.numerics
    assert list(header.header.sample_spec.shape) == [3]
    assert header.header.sample_spec.maximum == 100
    ranges = [(part.start, part.end) for chunk in chunks for part in chunk.chunk.indexes]
    assert ranges == [(5, 9), (9, 13), (13, 15)]
    assert samples(chunks).shape == (10, 3)
    assert summary.summary.sample_count == 10
    assert summary.summary.elapsed_seconds > 0


async def test_a_sample_is_the_same_whatever_else_is_asked_for(running, read_all):
    sample = running.generation.Sample
    whole = samples(await read_all(sample(SampleRequest(model=TOY, seed=7, sample_count=20))))
    tail = samples(
        await read_all(sample(SampleRequest(model=TOY, seed=7, first_index=15, sample_count=5, chunk_rows=2)))
    )
    np.testing.assert_array_equal(whole[15:], tail)


async def test_a_seed_that_is_not_given_is_drawn_and_told(running, read_all):
    first = await read_all(running.generation.Sample(SampleRequest(model=TOY, sample_count=3)))
    again = await read_all(
        running.generation.Sample(SampleRequest(model=TOY, seed=first[0].header.seed, sample_count=3))
    )
    np.testing.assert_array_equal(samples(first), samples(again))


async def test_a_seed_of_zero_is_a_seed(running, read_all):
    messages = await read_all(running.generation.Sample(SampleRequest(model=TOY, seed=0, sample_count=1)))
    assert messages[0].header.seed == 0


async def test_options_reach_the_model(running, read_all):
    options = {"shift": OptionValue(int64_value=5), "mode": OptionValue(string_value="negative")}
    plain = await read_all(running.generation.Sample(SampleRequest(model=TOY, seed=1, sample_count=2)))
    shifted = await read_all(
        running.generation.Sample(SampleRequest(model=TOY, seed=1, sample_count=2, options=options))
    )
    np.testing.assert_allclose(samples(shifted), samples(plain) + 5, rtol=1e-5)


def image_request(tensor, **fields):
    conditions = {"mean": Condition(tensor=tensor([[0.5]])), "name": Condition(strings=StringRows(rows=["x"]))}
    return SampleRequest(**{"model": "models/image", "seed": 1, "sample_count": 3, "conditions": conditions, **fields})


async def test_samples_come_as_files_as_bytes_or_as_floats(running, tensor, read_all):
    sample = running.generation.Sample
    floats = samples(await read_all(sample(image_request(tensor))))
    _, chunk, _ = await read_all(sample(image_request(tensor, output=Output(tensor=types_pb2.DATA_TYPE_UINT8))))
    assert chunk.chunk.tensor.data_type == types_pb2.DATA_TYPE_UINT8
    np.testing.assert_array_equal(array(chunk.chunk.tensor, "u1"), np.rint((floats + 1) * 127.5))
    _, files, _ = await read_all(sample(image_request(tensor, output=Output(media_type="image/png"))))
    assert files.chunk.encoded.media_type == "image/png"
    with Image.open(BytesIO(files.chunk.encoded.rows[2])) as picture:
        np.testing.assert_array_equal(np.asarray(picture), array(chunk.chunk.tensor, "u1")[2, ..., 0])


async def test_scores_latents_and_samples_of_latents(running, inputs, tensor):
    scores = await running.generation.Score(ScoreRequest(model=TOY, inputs=inputs([[1, 2, 3], [0, 0, 1]])))
    assert scores.model == "models/toy/versions/1"
    assert scores.kind == SCORE_KIND_EXACT
    np.testing.assert_array_equal(array(scores.log_prob), [-14, -1])
    latents = await running.generation.Encode(EncodeRequest(model=TOY, inputs=inputs([[1, 2, 3]])))
    np.testing.assert_array_equal(array(latents.latents), [[1, 2]])
    decoded = await running.generation.Decode(DecodeRequest(model=TOY, latents=tensor([[1, 2]])))
    np.testing.assert_array_equal(array(decoded.samples), [[1, 2, 1]])


async def test_an_error_about_latents_names_the_field_latents(running, refused, tensor):
    missing = await refused(running.generation.Decode(DecodeRequest(model=TOY)))
    assert (missing.code, missing.field) == (grpc.StatusCode.INVALID_ARGUMENT, "latents")
    wrong = await refused(running.generation.Decode(DecodeRequest(model=TOY, latents=tensor([[1, 2, 3]]))))
    assert (wrong.code, wrong.field) == (grpc.StatusCode.INVALID_ARGUMENT, "latents")


async def test_a_verb_that_is_not_built_names_those_that_the_model_has(running, refused):
    refusal = await refused(running.generation.Interpolate(InterpolateRequest(model=TOY)))
    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED
    assert refusal.info.metadata["verbs"] == "sample,score,encode,decode,classify,embed"
    unknown = await refused(running.generation.Interpolate(InterpolateRequest(model="models/none")))
    assert unknown.code == grpc.StatusCode.NOT_FOUND


async def test_a_client_that_leaves_in_mid_stream_cancels_its_rows(running, read_all):
    call = running.generation.Sample(SampleRequest(model=TOY, sample_count=1 << 30, chunk_rows=8))
    async for message in call:
        if message.HasField("chunk"):
            break
    call.cancel()
    await running.told.until(lambda: ("toy", "sample", "cancelled") in running.told.outcomes)
    await running.told.until(lambda: running.value("genservice_queued_rows", model="toy", version=1) == 0)
    assert (await read_all(running.generation.Sample(SampleRequest(model=TOY, sample_count=1))))[-1].HasField("summary")


async def test_a_client_that_leaves_before_the_first_chunk_cancels_its_rows(running, gate):
    gate.shut()
    call = running.generation.Sample(SampleRequest(model="models/gated", sample_count=4))
    assert (await call.read()).HasField("header")
    call.cancel()
    await running.told.until(lambda: ("gated", "sample", "cancelled") in running.told.outcomes)


async def test_a_stream_that_nobody_reads_holds_a_few_chunks(serve, store, publish, read_all):
    rows = 16384
    publish(store, "large", "toy", max_batch_rows=rows, batch_sizes=[1, rows], max_queue_rows=8 * rows)
    # The client's window stays below the size of one chunk, and so does not count.
    window = [("grpc.http2.bdp_probe", 0)]
    async with serve() as running, grpc.aio.insecure_channel(running.server.address, window) as channel:
        request = SampleRequest(model="models/large", sample_count=1 << 30, chunk_rows=rows)
        unread = GenerationServiceStub(channel).Sample(request)
        assert (await unread.read()).HasField("header")
        # Other streams are served to their ends meanwhile: in that time a reader would get a hundred chunks.
        for _ in range(100):
            await read_all(running.generation.Sample(SampleRequest(model="models/large", sample_count=1)))
        labels = {"model": "large", "version": 1, "verb": "sample"}
        drawn_rows = running.value("genservice_batch_rows_sum", **labels)
        assert rows <= drawn_rows < 4 * rows
        unread.cancel()


async def _finished(running):
    call = running.generation.Sample(SampleRequest(model=TOY, sample_count=1))
    async for _ in call:
        pass
    return call


async def test_a_deadline_ends_a_request_and_the_next_is_served(running, refused, gate, read_all):
    gate.shut()
    request = SampleRequest(model="models/gated", sample_count=1)
    refusal = await refused(running.generation.Sample(request, timeout=0.001))
    assert refusal.code == grpc.StatusCode.DEADLINE_EXCEEDED
    gate.open()
    assert len(await read_all(running.generation.Sample(request))) == 3


async def test_a_caller_whose_rows_fill_its_part_of_the_queue_is_told_when_to_come_back(
    serve, store, publish, gate, refused, read_all
):
    publish(store, "narrow", "gated", max_queue_rows=2, max_batch_rows=1)
    async with serve() as running:
        gate.shut()
        request = SampleRequest(model="models/narrow", sample_count=2)
        one = asyncio.ensure_future(read_all(running.generation.Sample(request)))
        await gate.entered()
        two = asyncio.ensure_future(
            read_all(running.generation.Sample(SampleRequest(model="models/narrow", sample_count=1)))
        )
        await running.told.until(lambda: running.told.admissions == 2)
        refusal = await refused(running.generation.Sample(request))
        assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.info.reason == "CALLER_LIMIT"
        assert refusal.retry.retry_delay.ToMilliseconds() >= 50
        gate.open()
        assert all(messages[-1].HasField("summary") for messages in await asyncio.gather(one, two))
        assert (await read_all(running.generation.Sample(request)))[-1].HasField("summary")
        refused_rows = running.value(
            "genservice_rows_refused_total", model="narrow", version=1, verb="sample", reason="CALLER_LIMIT"
        )
        assert refused_rows == 2


async def test_what_a_model_raises_stays_in_the_log_and_its_batch_mates_succeed(running, refused, read_all):
    bad = {"shift": OptionValue(double_value=6)}
    good, refusal, other = await asyncio.gather(
        read_all(running.generation.Sample(SampleRequest(model=TOY, seed=1, sample_count=2))),
        refused(running.generation.Sample(SampleRequest(model=TOY, seed=1, sample_count=2, options=bad))),
        read_all(running.generation.Sample(SampleRequest(model=TOY, seed=1, sample_count=2))),
    )
    assert refusal.code == grpc.StatusCode.INTERNAL
    assert refusal.info.reason == "MODEL_ERROR"
    assert refusal.info.metadata["reference"] in refusal.message
    assert "secret" not in str(refusal.status) + refusal.message
    np.testing.assert_array_equal(samples(good), samples(other))


async def test_another_content_is_refused(running, refused):
    refusal = await refused(running.generation.Sample(SampleRequest(model=TOY, sample_count=1, content_hash="0" * 64)))
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_CHANGED")


async def test_the_header_comes_before_the_first_sample_is_made(running, gate):
    gate.shut()
    call = running.generation.Sample(SampleRequest(model="models/gated", sample_count=1))
    assert (await call.read()).HasField("header")
    gate.open()
    assert (await call.read()).HasField("chunk")
    assert (await call.read()).HasField("summary")
    assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize("version", ["models/toy/versions/1", "models/toy/labels/stable"])
async def test_a_version_is_named_by_number_or_by_label(serve, store, version, read_all):
    store.set_label("toy", "stable", 1)
    async with serve() as running:
        messages = await read_all(running.generation.Sample(SampleRequest(model=version, sample_count=1)))
        assert messages[0].header.model == "models/toy/versions/1"
