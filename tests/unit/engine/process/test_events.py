"""What a slow reader finds."""

from genservice.engine.call import RowDone, RowPreview, RowText
from genservice.engine.process.events import EventBuffer


def taken(*events):
    buffer = EventBuffer()
    for event in events:
        buffer.put(event)
    told = []
    while buffer:
        told.append(buffer.take())
    return told


def test_events_come_in_order():
    events = [RowText(0, 0, 0, "a"), RowText(1, 0, 0, "b"), RowDone(1, {}), RowPreview(0, 3, {})]
    assert taken(*events) == events


def test_texts_of_a_row_are_joined():
    assert taken(RowText(0, 2, 5, "ab"), RowText(1, 0, 0, "x"), RowText(0, 4, 7, "cd")) == [
        RowText(0, 2, 5, "abcd"),
        RowText(1, 0, 0, "x"),
    ]


def test_of_previews_the_latest_is_kept_and_none_of_a_row_that_is_done():
    latest, done = RowPreview(0, 6, {}), RowDone(1, {})
    assert taken(RowPreview(0, 3, {}), RowPreview(1, 3, {}), latest, done) == [latest, done]


def test_a_text_that_was_taken_is_not_joined_to_the_next():
    buffer = EventBuffer()
    buffer.put(RowText(0, 0, 0, "a"))
    assert buffer.take() == RowText(0, 0, 0, "a")
    buffer.put(RowText(0, 1, 1, "b"))
    assert buffer.take() == RowText(0, 1, 1, "b")
    assert not buffer
