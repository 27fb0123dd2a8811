"""A text that grows, and where it stops."""

import pytest

from genservice.engine.text import GrowingText


def grown(tokens, stop=()):
    text = GrowingText(3, "".join, stop)
    deltas = []
    for token in tokens:
        text.add(token)
        if delta := text.delta(last=text.stopped):
            deltas.append(delta)
        if text.stopped:
            break
    if not text.stopped and (delta := text.delta(last=True)):
        deltas.append(delta)
    return text, deltas


@pytest.mark.parametrize(
    ("tokens", "stop", "expected"),
    [
        ("to be", (), "to be"),
        ("to be or not", (" or",), "to be"),
        ("to be or not", ("not", "be"), "to "),
        ("aab", ("aab",), ""),
        ("aaab", ("aab",), "a"),
        ("abc", ("abcd",), "abc"),
        (["to", " be or", " not"], ("e o",), "to b"),
        (["to be, or not to be"], ("be", ", or"), "to "),
    ],
)
def test_a_text_ends_before_its_first_stop_string(tokens, stop, expected):
    text, deltas = grown(tokens, stop)
    assert text.text == expected
    assert "".join(delta.text for delta in deltas) == expected


def test_deltas_say_where_they_stand_and_keep_back_what_may_be_a_stop_string():
    text = GrowingText(3, "".join, ["xyz"])
    told = []
    for token in "axyb":
        text.add(token)
        told.append(text.delta(last=False))
    assert [(delta.token_offset, delta.character_offset, delta.text) if delta else None for delta in told] == [
        (0, 0, "a"),
        None,
        None,
        (1, 1, "xyb"),
    ]
    assert told[0].row == 3


def test_nothing_new_is_no_delta():
    text = GrowingText(0, "".join, [])
    assert text.delta(last=False) is None
    text.add("a")
    assert text.delta(last=False).text == "a"
    assert text.delta(last=True) is None
