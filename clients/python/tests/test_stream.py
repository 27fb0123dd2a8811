import asyncio
import gc
import threading

import grpc
import numpy as np
import pytest

import genservice_client as gc_client
from genservice.v1 import generation_pb2, types_pb2

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def indexes(chunks):
    return [int(index) for chunk in chunks for index in chunk.indexes]


def asked(service):
    return [(request.first_index, request.sample_count) for request in service.requests["Sample"]]


async def test_a_whole_stream_gives_every_sample_once_in_order(side, client, service):
    stream = client.sample("digits", 10, seed=7)
    chunks = await side.collect(stream)
    assert indexes(chunks) == list(range(10))
    assert np.concatenate([chunk.to_numpy() for chunk in chunks])[:, :2].tolist() == [[i, 7] for i in range(10)]
    assert stream.summary.sample_count == 10
    assert stream.summary.resume_count == 0
    assert asked(service) == [(0, 10)]


async def test_all_collects_one_object(side, client):
    samples = await side.call(client.sample("digits", 10, seed=7, first_index=5).all())
    assert samples.indexes.dtype == np.int64
    assert samples.indexes.tolist() == list(range(5, 15))
    assert samples.to_numpy().shape == (10, 3)
    assert samples.to_numpy().flags.writeable
    assert (samples.model, samples.seed, len(samples)) == ("models/digits/versions/3", 7, 10)


async def test_the_request_says_all_that_was_asked(side, client, service):
    stream = client.sample(
        "digits:stable",
        2,
        seed=2**64 - 1,
        output="uint8",
        chunk_rows=1,
        conditions={"prompt": ["one", "two"], "mask": np.zeros((1, 4), np.uint8)},
        options={"seed": np.int32(3)},
        temperature=0.5,
        greedy=np.bool_(True),
        label="x",
        stop=["\n\n", "EXIT"],
        order="as_ready",
        preview_steps=5,
        text_deltas=True,
    )
    await side.collect(stream)
    (request,) = service.requests["Sample"]
    assert request.model == "models/digits/labels/stable"
    assert request.seed == 2**64 - 1
    assert request.output.tensor == types_pb2.DATA_TYPE_UINT8
    assert request.chunk_rows == 1
    assert list(request.conditions["prompt"].strings.rows) == ["one", "two"]
    assert list(request.conditions["mask"].tensor.shape) == [1, 4]
    assert request.options["seed"].int64_value == 3
    assert request.options["temperature"].double_value == 0.5
    assert request.options["greedy"].WhichOneof("value") == "bool_value"
    assert request.options["label"].string_value == "x"
    assert list(request.options["stop"].strings_value.rows) == ["\n\n", "EXIT"]
    assert request.order == generation_pb2.SAMPLE_ORDER_AS_READY
    assert (request.preview_steps, request.text_deltas) == (5, True)
    assert request.content_hash == ""


async def test_a_string_is_a_condition_that_all_samples_share(side, client, service, cut):
    service.streams.append(["header", (0, 1), cut()])
    await side.collect(client.sample("digits", 3, conditions={"prompt": "a cat"}))
    prompts = [list(request.conditions["prompt"].strings.rows) for request in service.requests["Sample"]]
    assert prompts == [["a cat"], ["a cat"]]


async def test_output_is_left_out_unless_asked_for(side, client, service):
    await side.collect(client.sample("digits", 1))
    assert not service.requests["Sample"][0].HasField("output")


async def test_a_seed_is_drawn_on_this_side(side, client, service):
    stream = client.sample("digits", 1)
    await side.collect(stream)
    assert service.requests["Sample"][0].seed == stream.seed == stream.header.seed
    assert client.sample("digits", 1).seed != stream.seed


@pytest.mark.parametrize(
    "arguments",
    [
        {"sample_count": 0},
        {"sample_count": 1, "first_index": -1},
        {"sample_count": 2, "first_index": 2**63 - 2},
        {"sample_count": 1, "seed": -1},
        {"sample_count": 1, "seed": 2**64},
        {"sample_count": 1, "output": "png"},
        {"sample_count": 1, "chunk_rows": -1},
        {"sample_count": 1, "preview_steps": -1},
        {"sample_count": 1, "order": "random"},
        {"sample_count": 1, "timeout_s": 0},
        {"sample_count": 3, "conditions": {"a": np.zeros((2, 1))}},
        {"sample_count": 3, "conditions": {"a": np.float32(1)}},
    ],
)
async def test_wrong_arguments_are_found_before_a_call(side, client, service, arguments):
    with pytest.raises(ValueError, match=r".+"):
        client.sample("digits", **arguments)
    assert not service.requests["Sample"]


async def test_a_context_manager_starts_the_stream_so_that_its_header_is_there(side, client):
    stream = client.sample("digits", 4, seed=7)
    with pytest.raises(RuntimeError, match="no header yet"):
        _ = stream.header
    if side.kind == "sync":
        with stream:
            header = stream.header
    else:
        async with stream:
            header = stream.header
    assert (header.model, header.content_hash, header.seed) == ("models/digits/versions/3", "abc", 7)
    assert (header.determinism, header.numerics) == ("BITWISE", "cpu")
    assert header.spec == gc_client.TensorSpec(np.dtype("float32"), (3,), 0.0, 255.0, "")


CUTS = {
    "before the header": [[]],
    "before the header with a status": [["CUT"]],
    "after the header": [["header", "CUT"]],
    "between chunks": [["header", (0, 4), "CUT"]],
    "again and again": [["header", (0, 1), "CUT"], ["header", (1, 2), "CUT"], ["header", "CUT"], ["header", (2, 5)]],
    "after the last chunk": [["header", (0, 10), "CUT"]],
    "without a summary": [["header", (0, 4), (4, 8)]],
    "by a summary that came too early": [["header", (0, 4), "summary"]],
    "by a gap": [["header", (0, 2), (6, 8), (8, 10), "summary"]],
    "by duplicates": [["header", (0, 4), (2, 6), (0, 6), "CUT"], ["header", (6, 10), (6, 10), "summary"]],
    "by indexes that were not asked for": [["header", (0, 4), (9, 12)]],
    "by samples before the header": [[(0, 4)]],
    "by two headers": [["header", (0, 2), "header"]],
}


@pytest.mark.parametrize("streams", CUTS.values(), ids=CUTS)
async def test_a_stream_that_is_cut_goes_on(side, client, service, cut, streams):
    service.streams.extend([cut() if step == "CUT" else step for step in steps] for steps in streams)
    stream = client.sample("digits", 10, seed=7)
    chunks = await side.collect(stream)
    assert indexes(chunks) == list(range(10))
    assert np.concatenate([chunk.to_numpy() for chunk in chunks])[:, 0].tolist() == list(range(10))
    assert stream.summary.sample_count == 10


async def test_what_goes_on_is_pinned_to_version_content_and_seed(side, client, service, cut):
    service.streams.append(["header", (0, 4), cut()])
    stream = client.sample("digits", 10)
    await side.collect(stream)
    first, second = service.requests["Sample"]
    assert (first.model, first.content_hash) == ("models/digits", "")
    assert (second.model, second.content_hash) == ("models/digits/versions/3", "abc")
    assert first.seed == second.seed == stream.seed
    assert (second.first_index, second.sample_count) == (4, 6)
    assert stream.summary.resume_count == 1


async def test_a_gap_is_asked_for_alone_and_what_came_behind_it_is_kept(side, client, service):
    service.streams.append(["header", (0, 2), (6, 8), (8, 10)])
    chunks = await side.collect(client.sample("digits", 10))
    assert indexes(chunks) == list(range(10))
    assert asked(service) == [(0, 10), (2, 4), (8, 2)]


async def test_a_stream_cut_after_its_last_chunk_asks_for_nothing_more(side, client, service, cut, clock):
    service.streams.append(["header", (0, 10), cut(grpc.StatusCode.INTERNAL)])
    stream = client.sample("digits", 10)
    assert indexes(await side.collect(stream)) == list(range(10))
    assert asked(service) == [(0, 10)]
    assert clock.sleeps == []
    assert stream.summary.resume_count == 0


async def test_a_chunk_of_several_ranges_is_taken_apart(side, client, service):
    service.streams.append(["header", lambda request: service.chunk(request, (0, 2), (2, 3)), (3, 4), "summary"])
    chunks = await side.collect(client.sample("digits", 4))
    assert indexes(chunks) == [0, 1, 2, 3]
    assert asked(service) == [(0, 4)]


async def test_conditions_with_a_row_a_sample_are_sliced(side, client, service, cut):
    offsets = np.arange(10, dtype=np.float32) * 10
    service.streams.append(["header", (100, 103), cut()])
    conditions = {"offset": offsets, "shared": np.ones((1, 2), np.float32), "word": [str(i) for i in range(10)]}
    samples = await side.call(client.sample("digits", 10, first_index=100, conditions=conditions).all())
    assert samples.to_numpy()[:, 2].tolist() == offsets.tolist()
    second = service.requests["Sample"][1].conditions
    assert list(second["offset"].tensor.shape) == [7]
    assert list(second["shared"].tensor.shape) == [1, 2]
    assert list(second["word"].strings.rows) == [str(i) for i in range(3, 10)]


async def test_conditions_too_large_for_a_message_are_sent_in_several_requests(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_bytes=12))
    stream = client.sample("digits", 7, conditions={"offset": np.arange(7, dtype=np.float32)})
    samples = await side.call(stream.all())
    assert samples.to_numpy()[:, 2].tolist() == list(range(7))
    assert asked(service) == [(0, 3), (3, 3), (6, 1)]
    assert stream.summary.resume_count == 0


@pytest.mark.parametrize("change", [{"content_hash": "x"}, {"model": "models/digits/versions/4"}, {"seed": 8}])
async def test_a_stream_that_comes_back_as_another_one_is_refused(side, client, service, cut, change):
    service.streams.extend([["header", (0, 4), cut()], [lambda request: service.header(request, **change)]])
    with pytest.raises(gc_client.StreamChangedError):
        await side.collect(client.sample("digits", 10, seed=7))
    assert len(service.requests["Sample"]) == 2


async def test_other_numerics_are_left_for_another_replica(side, client, service, cut):
    other = [lambda request: service.header(request, numerics="gpu"), (4, 10), "summary"]
    service.streams.extend([["header", (0, 4), cut()], other])
    assert indexes(await side.collect(client.sample("digits", 10))) == list(range(10))
    assert asked(service) == [(0, 10), (4, 6), (4, 6)]


async def test_other_numerics_everywhere_are_an_error_in_the_end(side, running, service, cut):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=3))
    service.streams.append(["header", (0, 4), cut()])
    service.streams.extend([[lambda request: service.header(request, numerics="gpu")]] * 3)
    with pytest.raises(gc_client.NumericsChangedError):
        await side.collect(client.sample("digits", 10))


LEFT_BEHIND = {
    "not there": ({"code": grpc.StatusCode.NOT_FOUND, "reason": "NOT_FOUND"}, gc_client.NotFoundError),
    "another content": (
        {"code": grpc.StatusCode.FAILED_PRECONDITION, "reason": "CONTENT_CHANGED"},
        gc_client.FailedPreconditionError,
    ),
    "failed": (
        {"code": grpc.StatusCode.FAILED_PRECONDITION, "reason": "MODEL_FAILED"},
        gc_client.FailedPreconditionError,
    ),
    "loading": ({"code": UNAVAILABLE, "reason": "MODEL_NOT_READY"}, gc_client.UnavailableError),
}


@pytest.mark.parametrize(("cut_arguments", "_"), LEFT_BEHIND.values(), ids=LEFT_BEHIND)
async def test_a_replica_without_the_version_is_left_for_another_one(side, client, service, cut, cut_arguments, _):
    service.streams.extend([["header", (0, 4), cut()], [cut(**cut_arguments)], [cut(**cut_arguments)]])
    stream = client.sample("digits", 10)
    assert indexes(await side.collect(stream)) == list(range(10))
    assert asked(service) == [(0, 10), (4, 6), (4, 6), (4, 6)]
    assert stream.summary.resume_count == 3


@pytest.mark.parametrize(("cut_arguments", "error_class"), LEFT_BEHIND.values(), ids=LEFT_BEHIND)
async def test_a_version_that_no_replica_has_is_an_error_in_the_end(
    side, running, service, cut, cut_arguments, error_class
):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=3))
    service.streams.append(["header", (0, 4), cut()])
    service.streams.extend([[cut(**cut_arguments)]] * 5)
    with pytest.raises(error_class) as caught:
        await side.collect(client.sample("digits", 10))
    assert caught.value.reason == cut_arguments["reason"]
    # The cut after progress and two that made none.
    assert len(service.requests["Sample"]) == 3


@pytest.mark.parametrize("reason", ["", "STORE_ERROR"])
async def test_other_failed_preconditions_end_a_stream_that_went_on(side, client, service, cut, reason):
    service.streams.extend([["header", (0, 4), cut()], [cut(grpc.StatusCode.FAILED_PRECONDITION, reason=reason)]])
    with pytest.raises(gc_client.FailedPreconditionError):
        await side.collect(client.sample("digits", 10))
    assert len(service.requests["Sample"]) == 2


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION])
async def test_a_first_request_is_not_repeated_where_the_version_is_missing(side, client, service, cut, code):
    service.streams.append([cut(code, reason="MODEL_FAILED")])
    with pytest.raises((gc_client.NotFoundError, gc_client.FailedPreconditionError)):
        await side.collect(client.sample("digits", 10))
    assert len(service.requests["Sample"]) == 1


async def test_same_draws_may_come_from_other_numerics(side, client, service, cut):
    def header(numerics):
        kind = types_pb2.DETERMINISM_SAME_DRAWS
        return lambda request: service.header(request, numerics=numerics, determinism=kind)

    service.streams.extend([[header("cpu"), (0, 4), cut()], [header("gpu"), (4, 10), "summary"]])
    assert indexes(await side.collect(client.sample("digits", 10))) == list(range(10))


async def test_attempts_without_progress_are_bounded(side, running, service, cut, clock):
    policy = gc_client.RetryPolicy(max_attempts=3, initial_backoff_s=1, multiplier=2)
    client = side.client(running.target, retry=policy)
    service.streams.extend([[cut()]] * 5)
    with pytest.raises(gc_client.UnavailableError, match="scripted"):
        await side.collect(client.sample("digits", 10))
    assert clock.sleeps == [1, 2]


async def test_progress_begins_the_count_again(side, running, service, cut, clock):
    policy = gc_client.RetryPolicy(max_attempts=2, initial_backoff_s=1)
    client = side.client(running.target, retry=policy)
    service.streams.extend([["header", (i, i + 1), cut()] for i in range(6)])
    assert indexes(await side.collect(client.sample("digits", 10))) == list(range(10))
    assert clock.sleeps == [1] * 6


async def test_the_server_says_when_to_come_back(side, client, service, cut, clock):
    service.streams.append([cut(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_s=5, reason="QUEUE_FULL")])
    await side.collect(client.sample("digits", 4))
    assert clock.sleeps == [pytest.approx(5.1)]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (grpc.StatusCode.UNAVAILABLE, "x"),
        (grpc.StatusCode.CANCELLED, "x"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full"),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        (grpc.StatusCode.UNKNOWN, "Stream removed"),
    ],
)
async def test_breaks_of_the_transport_are_survived(side, client, service, cut, code, message):
    service.streams.append(["header", (0, 4), cut(code, message)])
    assert indexes(await side.collect(client.sample("digits", 10))) == list(range(10))


@pytest.mark.parametrize(
    ("cut_arguments", "error_class"),
    [
        ({"code": grpc.StatusCode.INVALID_ARGUMENT, "field": "options.x"}, gc_client.InvalidArgumentError),
        ({"code": grpc.StatusCode.INTERNAL, "reason": "MODEL_ERROR"}, gc_client.InternalError),
        ({"code": grpc.StatusCode.INTERNAL}, gc_client.InternalError),
        ({"code": grpc.StatusCode.DEADLINE_EXCEEDED}, gc_client.DeadlineExceededError),
        ({"code": grpc.StatusCode.FAILED_PRECONDITION, "reason": "CONTENT_CHANGED"}, gc_client.FailedPreconditionError),
        (
            {"code": grpc.StatusCode.RESOURCE_EXHAUSTED, "message": "Received message larger than max (9 vs. 5)"},
            gc_client.ResourceExhaustedError,
        ),
    ],
)
async def test_errors_that_will_not_pass_are_raised_at_once(side, client, service, cut, cut_arguments, error_class):
    service.streams.append(["header", (0, 4), cut(**cut_arguments)])
    with pytest.raises(error_class) as caught:
        await side.collect(client.sample("digits", 10))
    assert caught.value.reason == cut_arguments.get("reason", "")
    assert caught.value.field == cut_arguments.get("field", "")
    assert len(service.requests["Sample"]) == 1


async def test_the_time_for_a_stream_covers_its_retries(side, client, service, cut, clock):
    service.streams.extend([[cut(retry_after_s=4)]] * 5)
    with pytest.raises(gc_client.UnavailableError):
        await side.collect(client.sample("digits", 10, timeout_s=10))
    assert clock.sleeps == [pytest.approx(4.1), pytest.approx(4.2)]


async def test_a_deadline_ends_a_stream_that_hangs(side, running, service):
    client = side.client(running.target, clock=gc_client.Clock())
    service.streams.append(["header", "hang"])
    with pytest.raises(gc_client.DeadlineExceededError):
        await side.collect(client.sample("digits", 10, timeout_s=0.05))


async def test_leaving_an_iteration_early_cancels_the_call(side, client, service):
    service.streams.append(["header", (0, 4), "hang"])
    stream = client.sample("digits", 10)
    assert indexes(await side.collect(stream, limit=1)) == [0, 1, 2, 3]
    gc.collect()
    await asyncio.sleep(0)
    assert await asyncio.to_thread(service.cancelled.wait, 5)
    with pytest.raises(gc_client.CancelledError):
        await side.call(stream.read())


async def test_a_cancelled_stream_tells_its_reader_and_does_not_go_on(side, client, service):
    service.streams.append(["header", (0, 4), "hang"])
    stream = client.sample("digits", 10)
    await side.call(stream.read())
    if side.kind == "sync":
        threading.Timer(0.03, stream.cancel).start()
    else:
        asyncio.get_running_loop().call_later(0.03, stream.cancel)
    with pytest.raises(gc_client.CancelledError):
        await side.call(stream.read())
    assert len(service.requests["Sample"]) == 1
    assert stream.summary is None


async def test_a_closed_client_ends_its_streams(side, client, service):
    service.streams.append(["header", (0, 4), "hang"])
    stream = client.sample("digits", 10)
    await side.call(stream.read())
    await side.call(client.close())
    with pytest.raises(gc_client.ClientClosedError):
        await side.call(stream.read())


async def test_a_cancelled_task_is_asyncios_own_affair(running, service):
    service.streams.append(["header", (0, 4), "hang"])
    async with gc_client.AsyncClient(running.target) as client:
        stream = client.sample("digits", 10)
        await stream.read()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(), 0.03)
        # The wait was given up, not the stream.
        assert indexes([chunk async for chunk in stream]) == list(range(4, 10))


async def test_a_stream_goes_on_at_another_replica_when_its_server_dies(side, another_service):
    replicas = [another_service() for _ in range(2)]
    for replica in replicas:
        replica.service.streams.append(["header", (0, 4), "hang"])
    policy = gc_client.RetryPolicy(initial_backoff_s=0.02)
    client = side.client([replica.target for replica in replicas], clock=gc_client.Clock(), retry=policy)
    stream = client.sample("digits", 10, seed=7)
    chunks = [await side.call(stream.read())]
    dead = next(replica for replica in replicas if replica.service.requests["Sample"])
    for replica in replicas:
        replica.service.streams.clear()
    dead.server.stop(0)
    while (chunk := await side.call(stream.read())) is not None:
        chunks.append(chunk)
    assert indexes(chunks) == list(range(10))


async def test_unknown_kinds_of_messages_are_passed_over(side, client, service):
    service.streams.append(["header", lambda request: generation_pb2.SampleResponse(), (0, 4), "summary"])
    assert indexes(await side.collect(client.sample("digits", 4))) == [0, 1, 2, 3]


async def test_an_ended_stream_stays_ended(side, client):
    stream = client.sample("digits", 4)
    await side.call(stream.all())
    stream.cancel()
    assert await side.call(stream.read()) is None
    with pytest.raises(RuntimeError, match="read already"):
        await side.call(stream.all())
