"""A row of text as it grows, up to the first of its stop strings."""

from collections.abc import Callable, Sequence

from genservice.engine.call import RowText


class GrowingText:
    """The text of one row.

    Args:
        row: Which, counted from its call's first.
        detokenize: Makes text of consecutive tokens.
        stop: Strings that end the text; they are no part of it.
    """

    def __init__(self, row: int, detokenize: Callable[[Sequence[int]], str], stop: Sequence[str]) -> None:
        self.text = ""
        self.stopped = False
        self._row = row
        self._detokenize = detokenize
        self._stop = stop
        self._longest = max(map(len, stop), default=0)
        self._tokens = 0
        self._told_tokens = 0
        self._told_characters = 0

    def add(self, token: int) -> None:
        """Takes in a token; sets `stopped` where the text has come to a stop string."""
        grown = self._detokenize([token])
        first = max(0, len(self.text) - self._longest)
        self.text += grown
        self._tokens += 1
        ends = [place for place in (self.text.find(stop, first) for stop in self._stop) if place >= 0]
        if ends:
            self.text = self.text[: min(ends)]
            self.stopped = True

    def delta(self, *, last: bool) -> RowText | None:
        """What was not told yet; what may be the beginning of a stop string is kept back until it is known not to be.

        Args:
            last: Whether the text is whole.
        """
        end = len(self.text) if last else len(self.text) - self._held_back()
        if end <= self._told_characters:
            return None
        delta = RowText(self._row, self._told_tokens, self._told_characters, self.text[self._told_characters : end])
        self._told_tokens, self._told_characters = self._tokens, end
        return delta

    def _held_back(self) -> int:
        """Characters at the end that a stop string may begin with."""
        for length in range(min(self._longest - 1, len(self.text)), 0, -1):
            if any(stop.startswith(self.text[-length:]) for stop in self._stop if len(stop) > length):
                return length
        return 0
