"""ClassificationService through a real channel."""

import asyncio

import grpc
import numpy as np
import pytest

from genservice.v1.classification_pb2 import (
    ClassifyRequest,
    CompareRequest,
    EmbedRequest,
    IdentifyRequest,
    NeighboursRequest,
    PredictRequest,
    StreamClassifyRequest,
    TagRequest,
)

TOY = "models/toy"


def array(tensor):
    return np.frombuffer(tensor.data, "<f4").reshape(tensor.shape)


async def test_probabilities_come_in_the_order_of_the_labels(running, inputs):
    response = await running.classification.Classify(
        ClassifyRequest(model=TOY, inputs=inputs([[0, 0, 50], [50, 0, 0]]))
    )
    assert response.model == "models/toy/versions/1"
    np.testing.assert_allclose(array(response.probabilities), [[0, 0, 1], [1, 0, 0]], atol=1e-6)
    assert not response.top


async def test_the_most_probable_labels_are_named(running, inputs):
    request = ClassifyRequest(model=TOY, inputs=inputs([[1, 2, 3], [1, 1, 0]]), top_k=2)
    response = await running.classification.Classify(request)
    assert [[label.label for label in row.labels] for row in response.top] == [["star", "square"], ["circle", "square"]]
    assert [label.index for label in response.top[0].labels] == [2, 1]
    assert response.top[0].labels[0].probability == pytest.approx(array(response.probabilities)[0, 2])


@pytest.mark.parametrize(("top_k", "code"), [(-1, grpc.StatusCode.INVALID_ARGUMENT), (4, grpc.StatusCode.OUT_OF_RANGE)])
async def test_more_labels_than_there_are_is_refused(running, inputs, refused, top_k, code):
    request = ClassifyRequest(model=TOY, inputs=inputs([[1, 2, 3]]), top_k=top_k)
    refusal = await refused(running.classification.Classify(request))
    assert (refusal.code, refusal.field) == (code, "top_k")


async def test_embeddings(running, inputs):
    response = await running.classification.Embed(EmbedRequest(model=TOY, inputs=inputs([[1, 2, 3]])))
    np.testing.assert_array_equal(array(response.embeddings), [[2, 4, 6]])


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("Compare", CompareRequest),
        ("Identify", IdentifyRequest),
        ("Neighbours", NeighboursRequest),
        ("Tag", TagRequest),
        ("Predict", PredictRequest),
    ],
)
async def test_each_verb_that_a_model_lacks_is_refused_before_its_inputs_are_read(
    running, refused, method, request_type
):
    call = getattr(running.classification, method)
    refusal = await refused(call(request_type(model=TOY)))
    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED
    assert "classify" in refusal.message
    assert (await refused(call(request_type(model="models/none")))).code == grpc.StatusCode.NOT_FOUND


async def test_a_verb_that_the_model_lacks_names_those_that_it_has(running, refused, inputs):
    refusal = await refused(running.classification.Embed(EmbedRequest(model="models/gated", inputs=inputs([[1, 2]]))))
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "VERB_NOT_SUPPORTED")
    assert refusal.info.metadata["verbs"] == "sample,classify"


def stream_requests(inputs, count, model=TOY):
    return [
        StreamClassifyRequest(request=ClassifyRequest(model=model, inputs=inputs(np.full((1 + i % 3, 3), i)), top_k=1))
        for i in range(count)
    ]


async def test_a_stream_is_answered_in_order(running, inputs, read_all):
    responses = await read_all(running.classification.StreamClassify(iter(stream_requests(inputs, 50))))
    assert [response.response.probabilities.shape[0] for response in responses] == [1 + i % 3 for i in range(50)]


async def test_a_stream_is_answered_as_it_comes(running, inputs):
    call = running.classification.StreamClassify()
    for request in stream_requests(inputs, 3):
        await call.write(request)
        assert (await call.read()).response.model
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_several_requests_of_a_stream_share_a_batch(running, tensor, gate, read_all):
    gate.shut()
    requests = [
        StreamClassifyRequest(request=ClassifyRequest(model="models/gated", inputs={"tensor": tensor([[i, 0]])}))
        for i in range(8)
    ]
    call = asyncio.ensure_future(read_all(running.classification.StreamClassify(iter(requests))))
    await running.told.until(lambda: running.told.admissions == 8)
    gate.open()
    assert len(await call) == 8
    assert running.value("genservice_batch_rows_count", model="gated", version=1, verb="classify") <= 2


async def test_a_bad_request_ends_the_stream_after_the_answers_before_it(running, inputs):
    first, second, third = stream_requests(inputs, 3)
    second.request.top_k = 99
    call = running.classification.StreamClassify(iter([first, second, third]))
    assert (await call.read()).response.model
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() == grpc.StatusCode.OUT_OF_RANGE
    assert "request.top_k" in str(raised.value.trailing_metadata())
    assert (await running.classification.Classify(first.request)).model


async def test_a_stream_whose_client_leaves_cancels_its_rows(running, tensor, gate):
    gate.shut()
    call = running.classification.StreamClassify()
    await call.write(
        StreamClassifyRequest(request=ClassifyRequest(model="models/gated", inputs={"tensor": tensor([[1, 2]])}))
    )
    await gate.entered()
    call.cancel()
    await running.told.until(lambda: ("gated", "classify", "cancelled") in running.told.outcomes)
    assert ("gated", "classify", "ok") not in running.told.outcomes


async def test_a_call_that_is_answered_ended_ok(running, inputs):
    await running.classification.Classify(ClassifyRequest(model=TOY, inputs=inputs([[1, 2, 3]])))
    assert running.told.outcomes == [("toy", "classify", "ok")]
