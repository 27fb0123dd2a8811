"""Every request that is wrong gets its code and its field, and the server serves the next one."""

import grpc
import numpy as np
import pytest

from genservice.v1 import types_pb2
from genservice.v1.classification_pb2 import ClassifyRequest
from genservice.v1.generation_pb2 import Output, SampleRequest, ScoreRequest
from genservice.v1.types_pb2 import Condition, OptionValue, StringRows

INVALID, RANGE, MISSING = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
)
MOST = 2**63 - 1


def value(**kind):
    return OptionValue(**kind)


SAMPLES = [
    ("an unknown model", {"model": "models/toi"}, MISSING, "model", "'toy'"),
    ("an unknown version", {"model": "models/toy/versions/9"}, MISSING, "model", "no version 9"),
    ("an unknown label", {"model": "models/toy/labels/stabel"}, MISSING, "model", "no label 'stabel'"),
    ("no model", {"model": ""}, INVALID, "model", "models/MODEL"),
    ("a path in a name", {"model": "models/../toy"}, INVALID, "model", "models/MODEL"),
    ("two dots in a name", {"model": "models/a..b"}, INVALID, "model", "models/MODEL"),
    ("an unknown option", {"options": {"shfit": value(double_value=1)}}, INVALID, "options.shfit", "'shift'"),
    ("an option out of range", {"options": {"shift": value(double_value=11)}}, RANGE, "options.shift", ""),
    ("an option of the wrong type", {"options": {"shift": value(string_value="1")}}, INVALID, "options.shift", ""),
    ("a bool for a number", {"options": {"steps": value(bool_value=True)}}, INVALID, "options.steps", ""),
    ("an option without a value", {"options": {"shift": OptionValue()}}, INVALID, "options.shift", "no value"),
    ("an option that is NaN", {"options": {"shift": value(double_value=np.nan)}}, INVALID, "options.shift", "finite"),
    (
        "an unknown label option",
        {"options": {"label": value(string_value="cirle")}},
        INVALID,
        "options.label",
        "'circle'",
    ),
    ("no samples", {"sample_count": 0}, INVALID, "sample_count", "1 or greater"),
    ("fewer than no samples", {"sample_count": -1}, INVALID, "sample_count", "1 or greater"),
    ("too many samples", {"sample_count": MOST}, RANGE, "sample_count", "at most"),
    ("a negative index", {"first_index": -1}, INVALID, "first_index", "0 or greater"),
    ("indexes that overflow", {"first_index": MOST, "sample_count": 1}, RANGE, "first_index", "2^63"),
    ("negative chunks", {"chunk_rows": -1}, INVALID, "chunk_rows", "0 or greater"),
    ("an unknown media type", {"output": Output(media_type="image/png")}, INVALID, "output.media_type", "none"),
    ("an unknown form", {"output": Output(tensor=types_pb2.DATA_TYPE_INT64)}, INVALID, "output.tensor", "float32"),
    ("a form that does not exist", {"output": Output(tensor=99)}, INVALID, "output.tensor", "99"),
    ("an unknown condition", {"conditions": {"x": Condition(strings=StringRows())}}, INVALID, "conditions.x", "none"),
]


@pytest.mark.parametrize(
    ("fields", "code", "field", "text"), [case[1:] for case in SAMPLES], ids=[c[0] for c in SAMPLES]
)
async def test_a_wrong_draw_is_refused(running, refused, read_all, fields, code, field, text):
    good = {"model": "models/toy", "sample_count": 1}
    refusal = await refused(running.generation.Sample(SampleRequest(**{**good, **fields})))
    assert (refusal.code, refusal.field) == (code, field)
    assert text in refusal.message
    assert refusal.status.code == code.value[0]
    assert refusal.status.message == refusal.message
    assert refusal.info.domain == "genservice"
    assert (await read_all(running.generation.Sample(SampleRequest(**good))))[-1].HasField("summary")


@pytest.mark.parametrize(
    ("mean", "field"),
    [
        ({"values": [[0, 0]]}, "conditions.mean"),
        ({"values": [[0], [0]]}, "conditions.mean"),
        ({"values": [[0]], "dtype": "int32"}, "conditions.mean"),
        ({"values": 0.0}, "conditions.mean.tensor.shape"),
    ],
    ids=["shape", "rows", "type", "scalar"],
)
async def test_a_wrong_condition_is_refused(running, refused, tensor, mean, field):
    name = Condition(strings=StringRows(rows=["x"]))
    conditions = {"mean": Condition(tensor=tensor(**mean)), "name": name}
    request = SampleRequest(model="models/image", sample_count=3, conditions=conditions)
    refusal = await refused(running.generation.Sample(request))
    assert (refusal.code, refusal.field) == (INVALID, field)


INPUTS = [
    ("missing", {"values": None}, INVALID, "inputs"),
    ("type", {"values": [[1, 2, 3]], "dtype": "int64"}, INVALID, "inputs"),
    ("no type", {"values": [[1, 2, 3]], "data_type": 0}, INVALID, "inputs.tensor.data_type"),
    ("unknown type", {"values": [[1, 2, 3]], "data_type": 77}, INVALID, "inputs.tensor.data_type"),
    ("shape", {"values": [[1, 2]]}, INVALID, "inputs"),
    ("negative shape", {"values": [[1, 2, 3]], "shape": [-1, 3]}, INVALID, "inputs.tensor.shape"),
    ("overflowing shape", {"values": [[1, 2, 3]], "shape": [2**62, 2**62]}, INVALID, "inputs.tensor.data"),
    ("shape that overflows to its length", {"values": [[1.0]], "shape": [2**62 + 1]}, INVALID, "inputs.tensor.data"),
    ("many dimensions", {"values": [[1.0]], "shape": [1] * 1000}, INVALID, "inputs.tensor.shape"),
    ("no rows", {"values": np.zeros((0, 3))}, INVALID, "inputs.tensor.shape"),
    ("too few bytes", {"values": [[1, 2, 3]], "data": b"1234"}, INVALID, "inputs.tensor.data"),
    ("too many bytes", {"values": [[1, 2, 3]], "data": b"1234" * 4}, INVALID, "inputs.tensor.data"),
    ("NaN", {"values": [[1, 2, np.nan]]}, INVALID, "inputs"),
    ("infinity", {"values": [[1, 2, np.inf]]}, INVALID, "inputs"),
    ("out of range", {"values": [[1, 2, 101]]}, RANGE, "inputs"),
    ("too many rows", {"values": np.zeros((17, 3))}, RANGE, "inputs"),
]


@pytest.mark.parametrize(("given", "code", "field"), [case[1:] for case in INPUTS], ids=[case[0] for case in INPUTS])
async def test_wrong_inputs_are_refused(serve, refused, inputs, given, code, field):
    async with serve(engine={"max_call_rows": 16}) as running:
        message = Condition() if given["values"] is None else inputs(given.pop("values"), **given)
        refusal = await refused(running.classification.Classify(ClassifyRequest(model="models/toy", inputs=message)))
        assert (refusal.code, refusal.field) == (code, field)
        good = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
        assert (await running.classification.Classify(good)).model


async def test_strings_for_numbers_are_refused(running, refused):
    strings = Condition(strings=StringRows(rows=["x"]))
    refusal = await refused(running.generation.Score(ScoreRequest(model="models/toy", inputs=strings)))
    assert (refusal.code, refusal.field) == (INVALID, "inputs")


async def test_a_message_over_the_limit_is_refused(serve, refused, inputs):
    async with serve(max_message_bytes=1 << 16) as running:
        request = ClassifyRequest(model="models/toy", inputs=inputs(np.zeros((1 << 14, 3))))
        refusal = await refused(running.classification.Classify(request))
        assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        good = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
        assert (await running.classification.Classify(good)).model


async def test_a_long_name_is_cut_so_that_the_client_still_gets_the_details(running, refused):
    options = {"名" * 100_000: value(bool_value=True)}
    request = SampleRequest(model="models/toy", sample_count=1, options=options)
    refusal = await refused(running.generation.Sample(request))
    assert (refusal.code, refusal.info.reason) == (INVALID, "INVALID_REQUEST")


async def test_bytes_that_are_no_request_are_refused(running):
    call = running.channel.unary_unary("/genservice.v1.ClassificationService/Classify")
    with pytest.raises(grpc.aio.AioRpcError):
        await call(b"\xff\xff\xff")


async def test_a_fault_of_the_server_is_a_reference_number(running, refused, inputs, monkeypatch):
    monkeypatch.setattr(running.engine, "call", lambda *_, **__: 1 / 0)
    request = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]]))
    refusal = await refused(running.classification.Classify(request))
    assert refusal.code == grpc.StatusCode.INTERNAL
    assert refusal.info.metadata["reference"] in refusal.message
    assert "division" not in refusal.message
