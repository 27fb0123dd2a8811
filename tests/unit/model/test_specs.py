import numpy as np
import pytest

from genservice import TensorSpec
from genservice.errors import InvalidRequest, OutOfRange, PluginError

IMAGE = TensorSpec((2, 2, 1), minimum=-1, maximum=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dtype": "float16"}, "dtype is one of float32, .*; got 'float16'"),
        ({"minimum": 0}, "both bounds or none"),
        ({"maximum": 0}, "both bounds or none"),
        ({"minimum": 1, "maximum": 1}, "minimum, 1, lies below its maximum, 1"),
        ({"minimum": 1, "maximum": 0}, "minimum, 1, lies below its maximum, 0"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes, reason):
    with pytest.raises(PluginError, match=reason):
        TensorSpec((3,), **changes)


def test_specs_of_equal_shape_and_type_are_equal_however_the_shape_was_given():
    assert TensorSpec([np.int64(3), 2]) == TensorSpec((3, 2))
    assert hash(TensorSpec([3, 2])) == hash(TensorSpec((3, 2)))


@pytest.mark.parametrize(
    ("spec", "row_bytes"),
    [
        (TensorSpec(()), 4),
        (TensorSpec((28, 28, 1)), 3136),
        (TensorSpec((28, 28, 1), "uint8"), 784),
        (TensorSpec((-1, 5), "int64"), 40),
        (TensorSpec((2,), "string"), 128),
    ],
)
def test_the_bytes_of_a_row_follow_from_shape_and_type(spec, row_bytes):
    assert spec.row_bytes == row_bytes


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (IMAGE, np.zeros((3, 2, 2, 1), np.float32)),
        (IMAGE, np.zeros((0, 2, 2, 1), np.float32)),
        (IMAGE, np.full((1, 2, 2, 1), -1, np.float32)),
        (TensorSpec((-1,), "int64"), np.zeros((2, 7), np.int64)),
        (TensorSpec((), "bool"), np.array([True])),
        (TensorSpec((), "string"), ["a shoe"]),
        (TensorSpec((1,), finite=False), np.array([[np.nan]], np.float32)),
        (TensorSpec((1,), minimum=0, maximum=1, finite=False), np.array([[np.nan]], np.float32)),
    ],
)
def test_rows_that_fit_are_let_through(spec, rows):
    assert spec.validate(rows, field="inputs") is None


@pytest.mark.parametrize(
    ("spec", "rows", "reason"),
    [
        (IMAGE, np.zeros((1, 2, 2, 1), np.float64), "takes float32, and got float64"),
        (IMAGE, ["a"], "takes float32, and got strings"),
        (TensorSpec((), "string"), np.zeros((1,), np.float32), "takes strings"),
        (IMAGE, np.zeros((2, 2, 1), np.float32), r"takes the shape \[rows, 2, 2, 1\], and got \[2, 2, 1\]"),
        (IMAGE, np.zeros((1, 2, 3, 1), np.float32), r"takes the shape \[rows, 2, 2, 1\], and got \[1, 2, 3, 1\]"),
        (TensorSpec((-1, 2)), np.zeros((1, 5, 3), np.float32), r"\[rows, any, 2\]"),
        (IMAGE, np.full((1, 2, 2, 1), np.nan, np.float32), "NaN or infinity"),
        (IMAGE, np.full((1, 2, 2, 1), np.inf, np.float32), "NaN or infinity"),
    ],
)
def test_rows_that_do_not_fit_are_refused(spec, rows, reason):
    with pytest.raises(InvalidRequest, match=f"`inputs`.*{reason}") as refusal:
        spec.validate(rows, field="inputs")
    assert type(refusal.value) is InvalidRequest
    assert refusal.value.field == "inputs"


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        (TensorSpec((2,), minimum=-1, maximum=1), [0, 1.5]),
        (TensorSpec((2,), minimum=-1, maximum=1), [-1.5, 0]),
        (TensorSpec((2,), "int64", minimum=0, maximum=9), [0, 10]),
        (TensorSpec((2,), minimum=0, maximum=1, finite=False), [np.nan, 99]),
        (TensorSpec((2,), minimum=0, maximum=1, finite=False), [0, np.inf]),
    ],
)
def test_an_element_outside_the_bounds_is_out_of_range(spec, values):
    with pytest.raises(OutOfRange, match="`inputs` takes values from"):
        spec.validate(np.array([values], spec.dtype), field="inputs")
