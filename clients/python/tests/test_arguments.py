"""Names, options, arrays and conditions: what becomes of arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice.v1 import types_pb2
from genservice_client.errors import ProtocolError
from genservice_client.names import resource_name
from genservice_client.options import option_values
from genservice_client.row_values import Conditions, RowValues
from genservice_client.tensors import array_from, joined_rows, tensor_from


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("fashion-gan", "models/fashion-gan"),
        ("fashion-gan@3", "models/fashion-gan/versions/3"),
        ("fashion-gan:stable", "models/fashion-gan/labels/stable"),
        ("models/fashion-gan", "models/fashion-gan"),
        ("models/fashion-gan/versions/3", "models/fashion-gan/versions/3"),
        ("models/fashion-gan/labels/stable", "models/fashion-gan/labels/stable"),
    ],
)
def test_names_are_written_out(name, full):
    assert resource_name(name) == full


@pytest.mark.parametrize("name", ["", "a/b", "a@", "a@x", "a:", "a@1:b", "models/", "models/a/versions/", "@1"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="no name of a model"):
        resource_name(name)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool_value"),
        (np.bool_(False), "bool_value"),
        (3, "int64_value"),
        (np.uint8(3), "int64_value"),
        (0.5, "double_value"),
        (np.float32(0.5), "double_value"),
        ("x", "string_value"),
        (np.str_("x"), "string_value"),
    ],
)
def test_an_option_keeps_its_type(value, kind):
    message = option_values(None, {"x": value})["x"]
    assert message.WhichOneof("value") == kind
    assert getattr(message, kind) == value


@pytest.mark.parametrize("value", [None, [1], ["a", 1], {"a"}, np.array([1.0]), np.array(["a"]), b"x", 1j])
def test_what_is_neither_a_scalar_nor_a_list_of_strings_is_no_option(value):
    with pytest.raises(TypeError, match="option 'x'"):
        option_values({"x": value}, {})


@pytest.mark.parametrize("value", [["\n\n", "EXIT"], ("a",), []])
def test_a_list_of_strings_is_an_option(value):
    message = option_values({"stop": value}, {})["stop"]
    assert message.WhichOneof("value") == "strings_value"
    assert list(message.strings_value.rows) == list(value)


def test_an_integer_beyond_64_bits_is_refused():
    with pytest.raises(ValueError, match="64-bit"):
        option_values({"x": 2**63}, {})


def test_an_option_given_twice_is_refused():
    with pytest.raises(TypeError, match="given both"):
        option_values({"x": 1}, {"x": 1})


@given(
    st.sampled_from(["float32", "uint8", "int32", "int64", "float64", "bool", ">f4", ">i8"]),
    st.lists(st.integers(0, 4), max_size=4),
)
def test_an_array_comes_back_as_it_went(dtype, shape):
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    back = array_from(tensor_from(array))
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)


def test_an_array_that_is_not_contiguous_goes_in_row_major_order():
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    assert np.array_equal(array_from(tensor_from(array)), array)


@pytest.mark.parametrize(
    "tensor",
    [
        types_pb2.Tensor(shape=[1], data=b"1234"),
        types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[2], data=b"1234"),
        types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[-1, -1], data=b"1234"),
    ],
)
def test_a_tensor_that_does_not_fit_together_is_refused(tensor):
    with pytest.raises(ProtocolError):
        array_from(tensor)


def test_parts_that_do_not_fit_together_are_refused():
    one, two = tensor_from(np.zeros((1, 2))), tensor_from(np.zeros((1, 3)))
    with pytest.raises(ProtocolError, match="do not fit"):
        joined_rows([one, two], 2)
    with pytest.raises(ProtocolError, match="3 rows were asked"):
        joined_rows([one], 3)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "uint64", "O"])
def test_a_type_that_the_wire_has_not_is_named(dtype):
    with pytest.raises(TypeError, match="inputs has dtype"):
        RowValues.of(np.zeros(2).astype(dtype), "inputs")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([[0.5, 1.5]], "float32"),
        (((1, 2.5),), "float32"),
        ([[1, 2]], "int64"),
        ([[True]], "bool"),
        (np.zeros((1, 2)), "float64"),
        ([np.zeros(2), np.ones(2)], "float64"),
        ([[np.float64(0.5)]], "float64"),
    ],
)
def test_floats_of_python_are_float32_and_what_has_a_type_keeps_it(values, dtype):
    assert array_from(RowValues.of(values, "inputs").tensor()).dtype == dtype


async def test_a_list_of_numbers_is_sent_in_the_type_that_most_models_take(side, client, service):
    await side.call(client.classify("digits", [[0.5], [1.5]]))
    assert service.requests["Classify"][0].inputs.tensor.data_type == types_pb2.DATA_TYPE_FLOAT32


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.float32(1), []])
def test_rows_are_needed(values):
    with pytest.raises(ValueError, match="first dimension"):
        RowValues.of(values, "inputs")


@pytest.mark.parametrize("values", ["a", ["a"], ("a",), np.array(["a"])])
def test_strings_are_rows(values):
    assert RowValues.of(values, "prompt").message().strings.rows == ["a"]


def test_strings_are_no_latents():
    with pytest.raises(TypeError, match="an array is needed"):
        RowValues.of(["a"], "latents").tensor()


def test_rows_are_split_by_both_limits():
    rows = RowValues.of(np.zeros((10, 2), np.float32), "inputs")
    assert [len(part) for part in rows.parts(max_rows=4, max_bytes=1000)] == [4, 4, 2]
    assert [len(part) for part in rows.parts(max_rows=100, max_bytes=24)] == [3, 3, 3, 1]
    assert [len(part) for part in rows.parts(max_rows=100, max_bytes=1)] == [1] * 10


def test_one_row_is_shared_and_others_are_sliced():
    conditions = Conditions({"a": np.zeros((1, 2)), "b": ["x", "y", "z"]}, 3)
    messages = conditions.messages(1, 3)
    assert messages["a"].tensor.shape == [1, 2]
    assert messages["b"].strings.rows == ["y", "z"]


def test_a_condition_of_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="condition 'b' has 2 rows"):
        Conditions({"b": ["x", "y"]}, 3)
