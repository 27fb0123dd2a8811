"""Slices on their way to the worker, and what the worker makes of them."""

from typing import Literal

import numpy as np
from pydantic import Field

from genservice.engine.call import Call, Output, Slice
from genservice.engine.process.calls import SlicePacker, SliceUnpacker
from genservice.engine.process.rows import Packer, Unpacker
from genservice.model.options import Options


class Many(Options):
    ratio: float = 0.5
    count: int = 1
    flag: bool = False
    name: str = "a"
    stop: tuple[str, ...] = ()
    words: list[str] = Field(default_factory=list)
    mode: Literal["x", "y"] = "x"
    limit: int | None = None


def packed(batch, options=Many):
    packer = Packer()
    rows, counts = SlicePacker(options).batch(batch, packer)
    wire = b"".join(map(bytes, packer.buffers))
    stops = np.cumsum(packer.blocks, dtype=int)
    blocks = [
        np.frombuffer(wire, np.uint8)[stop - count : stop] for stop, count in zip(stops, packer.blocks, strict=True)
    ]
    unpacker, there = Unpacker(blocks), SliceUnpacker(options)
    return [there.piece(batch[0].call.verb, each, unpacker) for each in rows], counts


def call(verb="classify", rows=1, value=0.0, options=None, inputs=None, **fields):
    inputs = {"inputs": np.full((rows, 2), value, np.float32)} if inputs is None else inputs
    return Call(verb, rows, options or Many(), inputs, **fields)


def whole(each):
    return Slice(each, 0, each.row_count)


def test_options_come_back_as_they_were():
    options = Many(ratio=2, count=-(2**63), flag=True, name="ä", stop=("x", "y"), words=["z"], mode="y")
    ((piece,), _) = packed([whole(call(options=options))])
    assert piece.call.options == options
    assert [type(value) for _, value in piece.call.options] == [type(value) for _, value in options]


def test_calls_that_differ_in_nothing_but_their_inputs_go_as_one():
    pieces, counts = packed([whole(call(rows=rows, value=rows)) for rows in (1, 3, 2)])
    assert counts == [[1, 3, 2]]
    np.testing.assert_array_equal(pieces[0].rows_of("inputs")[:, 0], [1, 3, 3, 3, 2, 2])


def test_options_of_different_calls_are_never_merged():
    ratios = [0.0, -0.0, 1.0, 1.0]
    pieces, counts = packed([whole(call(options=Many(ratio=ratio), value=ratio)) for ratio in ratios])
    assert counts == [[1], [1], [1, 1]]
    assert [str(piece.call.options.ratio) for piece in pieces] == ["0.0", "-0.0", "1.0"]


def test_calls_with_other_shapes_types_or_forms_go_by_themselves():
    different = [
        call(inputs={"inputs": np.zeros((1, 2), np.float32)}),
        call(inputs={"inputs": np.zeros((1, 3), np.float32)}),
        call(inputs={"inputs": np.zeros((1, 3), np.float64)}),
        call(inputs={"inputs": ["a"]}),
        call(inputs={"inputs": ["b"]}, output=Output("uint8")),
    ]
    pieces, counts = packed([whole(each) for each in different])
    assert counts == [[1]] * 5
    assert [piece.call.output.dtype for piece in pieces] == ["", "", "", "", "uint8"]


def test_draws_keep_their_addresses():
    batch = [
        Slice(call("sample", 100, inputs={}, seed=2**64 - 1, first_index=2**40), 10, 13),
        Slice(call("sample", 5, inputs={}, seed=7, output=Output(media_type="image/png")), 0, 5),
        Slice(call("sample", 5, inputs={}, seed=7, preview_steps=3, text_deltas=True), 0, 5),
    ]
    pieces, counts = packed(batch)
    assert counts == [[3], [5], [5]]
    assert [piece.call.seed for piece in pieces] == [2**64 - 1, 7, 7]
    assert [piece.call.first_index + piece.start for piece in pieces] == [2**40 + 10, 0, 0]
    assert [len(piece) for piece in pieces] == [3, 5, 5]
    assert pieces[1].call.output == Output(media_type="image/png")
    assert (pieces[2].call.preview_steps, pieces[2].call.text_deltas) == (3, True)


def test_of_inputs_only_the_slices_rows_go_and_a_shared_row_once():
    inputs = {"each": np.arange(100)[:, None], "shared": np.array([[7]]), "words": list(map(str, range(100)))}
    packer = Packer()
    piece = Slice(call("sample", 100, inputs=inputs), 10, 13)
    (rows,), _ = SlicePacker(Many).batch([piece], packer)
    assert {name: column.extents[0] for name, column in rows.inputs if name != "words"} == {"each": 3, "shared": 1}
    ((back,), _) = packed([piece])
    for name in inputs:
        np.testing.assert_array_equal(back.rows_of(name), piece.rows_of(name))


def test_a_shared_row_is_not_joined_with_others():
    batch = [whole(call(rows=2, inputs={"inputs": np.zeros((count, 2))})) for count in (2, 1, 2)]
    assert packed(batch)[1] == [[2], [2], [2]]


def test_a_model_without_options_is_told_none():
    ((piece,), _) = packed([whole(Call("classify", 1, Options(), {}))], Options)
    assert piece.call.options == Options()


def test_a_model_with_one_option_keeps_it():
    class One(Options):
        stop: tuple[str, ...] = ()

    ((piece,), _) = packed([whole(Call("classify", 1, One(stop=("a", "b")), {}))], One)
    assert piece.call.options == One(stop=("a", "b"))
