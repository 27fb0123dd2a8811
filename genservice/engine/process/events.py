"""Events of draws that wait to be told: never more than one of a kind for a row."""

from genservice.engine.call import RowDone, RowEvent, RowPreview, RowText


class EventBuffer:
    """What happened to the rows of one draw, as far as nobody has taken it yet.

    Of previews the latest is kept, texts are joined, and a row that is done has no previews: however slow the reader
    is, a row holds its text, one preview and its samples at most.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[type[RowEvent], int], RowEvent] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, event: RowEvent) -> None:
        """Takes in an event."""
        key = (type(event), event.row)
        if isinstance(event, RowText):
            before = self._waiting.get(key)
            if isinstance(before, RowText):
                event = RowText(event.row, before.token_offset, before.character_offset, before.text + event.text)
        elif isinstance(event, RowDone):
            self._waiting.pop((RowPreview, event.row), None)
        self._waiting[key] = event

    def take(self) -> RowEvent:
        """Gives the event that has waited longest."""
        return self._waiting.pop(next(iter(self._waiting)))
