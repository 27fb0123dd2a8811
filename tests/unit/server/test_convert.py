"""Tensors both ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genservice.engine.call import Call
from genservice.engine.submission import Chunk
from genservice.errors import InvalidRequest
from genservice.model.options import Options
from genservice.server import convert
from genservice.v1 import types_pb2
from genservice.v1.generation_pb2 import SampleResponse

DTYPES = ["float32", "uint8", "int32", "int64", "float64", "bool"]


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=4, max_side=5))))
def test_an_array_comes_back_as_it_was(values):
    back = convert.array(convert.tensor(values), "x")
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@given(
    st.integers(-1, 8),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 4), max_size=5),
    st.binary(max_size=64),
)
def test_whatever_comes_is_an_array_or_refused(data_type, shape, data):
    message = types_pb2.Tensor(data_type=max(data_type, 0), shape=shape, data=data)
    try:
        values = convert.array(message, "x")
    except InvalidRequest:
        return
    assert values.shape == tuple(shape)
    assert values.nbytes == len(data)


def test_an_array_that_is_not_in_row_major_order_is_written_as_if_it_were():
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    np.testing.assert_array_equal(convert.array(convert.tensor(values), "x"), values)


def test_a_bool_is_zero_or_one():
    with pytest.raises(InvalidRequest, match="0 or 1"):
        convert.array(types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_BOOL, shape=[2], data=b"\1\2"), "x")


def test_the_elements_are_not_copied():
    message = convert.tensor(np.zeros(4, np.float32))
    assert not convert.array(message, "x").flags.owndata


@pytest.mark.parametrize("rows", [[3], [1, 2, 40], [5000]])
def test_a_chunk_of_several_parts_is_one_message(rows):
    rng = np.random.default_rng(0)
    parts = [{"samples": rng.normal(size=(count, 7)).astype(np.float32)} for count in rows]
    total = sum(rows)
    call = Call("sample", total + 5, Options(), first_index=100)
    message = SampleResponse.FromString(convert.chunk(call, Chunk(((5, 5 + total),), parts)))
    assert [(part.start, part.end) for part in message.chunk.indexes] == [(105, 105 + total)]
    assert message.chunk.WhichOneof("samples") == "tensor"
    whole = np.concatenate([part["samples"] for part in parts])
    np.testing.assert_array_equal(convert.array(message.chunk.tensor, "tensor"), whole)
    assert SampleResponse.FromString(message.SerializeToString()) == message
