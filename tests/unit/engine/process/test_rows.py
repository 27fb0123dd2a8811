"""Rows that become bytes and rows again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice.engine.process.rows import OWN_BLOCK_BYTES, Packer, Unpacker, split


def travel(*rows, copy=True):
    """Packs rows, and unpacks them from blocks that consist of the same bytes."""
    packer = Packer()
    columns = [packer.add((each,)) for each in rows]
    wire = b"".join(bytes(buffer) for buffer in packer.buffers)
    assert len(wire) == sum(packer.blocks)
    blocks, start = [], 0
    for count in packer.blocks:
        blocks.append(np.frombuffer(wire[start : start + count], np.uint8).copy())
        start += count
    unpacker = Unpacker(blocks)
    return [unpacker.take(column, copy=copy) for column in columns], blocks


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "int64", "bool", "float16", ">f4"])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 1), (0, 4), (1, 0), (5, 40, 40)])
def test_arrays_keep_type_shape_and_values(dtype, shape):
    rows = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    ((back,), _) = travel(rows)
    assert back.dtype == rows.dtype
    assert back.shape == rows.shape
    np.testing.assert_array_equal(back, rows)
    assert back.flags.writeable


@given(
    st.lists(
        st.one_of(
            st.lists(st.text(), min_size=1),
            st.lists(st.binary(), min_size=1),
            st.integers(0, 40_000).map(lambda count: np.arange(count, dtype=np.float32)),
            st.integers(0, 40_000).map(lambda count: np.arange(count, dtype=np.uint8)),
        )
    )
)
def test_any_mixture_comes_back(rows):
    back, _ = travel(*rows)
    for given_rows, got in zip(rows, back, strict=True):
        if isinstance(given_rows, list):
            assert got == given_rows
        else:
            np.testing.assert_array_equal(got, given_rows)


def test_strings_that_are_no_text_come_back():
    rows = ["", "ä", "\ud800", "𝄞"]
    assert travel(rows)[0] == [rows]


def test_a_big_tensor_is_the_block_and_no_copy():
    rows = np.arange(OWN_BLOCK_BYTES, dtype=np.float32)
    (back,), (block,) = travel(rows)
    assert np.shares_memory(back, block)


def test_small_tensors_share_a_block_and_own_their_memory_unless_that_is_not_asked():
    rows = [np.arange(count, dtype=np.float64) for count in (1, 2, 3)]
    back, blocks = travel(*rows)
    assert len(blocks) == 1
    assert not any(np.shares_memory(each, blocks[0]) for each in back)
    back, blocks = travel(*rows, copy=False)
    assert all(np.shares_memory(each, blocks[0]) for each in back)


def test_tensors_in_a_shared_block_are_aligned():
    back, _ = travel(np.zeros(3, np.uint8), np.zeros(2), np.zeros(1, np.uint8), np.zeros(2, np.int64), copy=False)
    assert all(each.flags.aligned for each in back)


def test_parts_become_one():
    packer = Packer()
    column = packer.add([np.ones((2, 3)), np.zeros((1, 3)), np.ones((4, 3))])
    assert list(column.extents) == [7, 3]
    assert packer.blocks == [7 * 3 * 8]


def test_rows_in_another_order_in_memory_keep_their_values():
    rows = np.asfortranarray(np.arange(12).reshape(3, 4))[:, ::2]
    np.testing.assert_array_equal(travel(rows)[0][0], rows)


def test_objects_do_not_leave_their_process():
    with pytest.raises(TypeError, match="object"):
        travel(np.array([{}], object))


def test_split_gives_each_its_own_memory():
    rows = np.arange(6)
    pieces = split({"samples": rows, "files": list("abcdef")}, [1, 3, 2])
    assert [list(piece["samples"]) for piece in pieces] == [[0], [1, 2, 3], [4, 5]]
    assert [piece["files"] for piece in pieces] == [["a"], ["b", "c", "d"], ["e", "f"]]
    assert not any(np.shares_memory(piece["samples"], rows) for piece in pieces)
