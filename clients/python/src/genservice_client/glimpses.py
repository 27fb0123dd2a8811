"""What is seen of samples before they are whole: previews, and text as it is drawn. No I/O."""

from dataclasses import dataclass, field

import numpy as np

from genservice_client.errors import ProtocolError
from genservice_client.samples import SampleChunk, SampleRows


@dataclass(frozen=True, eq=False)
class SamplePreview(SampleRows):
    """A sample that is not done, as it would be if it ended here: one row, read as a chunk's."""

    step: int = field(kw_only=True)
    """Steps that the sample has made."""

    @property
    def index(self) -> int:
        """Index of the sample."""
        return int(self.indexes[0])


@dataclass(frozen=True)
class TextDelta:
    """Text that was drawn since the sample's last delta. Together the deltas of a sample are its text."""

    index: int
    """Index of the sample."""
    character_offset: int
    """Characters of the sample before this delta."""
    text: str
    """The text, one character or more."""


SampleEvent = SampleChunk | SamplePreview | TextDelta
"""What a stream of samples gives."""


class Glimpses:
    """Previews and deltas on their way to the reader: of each sample the last preview, and one delta of all new text.

    A sample that is drawn again, after a cut or by two replicas, is seen again from its beginning. Characters that were
    given and steps that were passed are left out.

    Args:
        text_deltas: Whether the text of samples is to be given in deltas.
    """

    def __init__(self, *, text_deltas: bool) -> None:
        self._text_deltas = text_deltas
        self._characters: dict[int, int] = {}
        self._steps: dict[int, int] = {}
        self._previews: dict[int, SamplePreview] = {}
        self._deltas: dict[int, TextDelta] = {}

    def add_preview(self, preview: SamplePreview) -> None:
        """Takes a preview of a sample that is not whole."""
        if preview.step > self._steps.get(preview.index, -1):
            self._steps[preview.index] = preview.step
            self._previews[preview.index] = preview

    def add_delta(self, delta: TextDelta) -> None:
        """Takes a delta of a sample that is not whole.

        Raises:
            ProtocolError: There are characters missing before it.
        """
        known = self._characters.get(delta.index, 0)
        if delta.character_offset > known:
            raise ProtocolError(
                f"a delta of sample {delta.index} begins at character {delta.character_offset}, after {known} that came"
            )
        fresh = delta.text[known - delta.character_offset :]
        if fresh:
            self._characters[delta.index] = known + len(fresh)
            waiting = self._deltas.get(delta.index)
            start, before = (known, "") if waiting is None else (waiting.character_offset, waiting.text)
            self._deltas[delta.index] = TextDelta(delta.index, start, before + fresh)

    def complete(self, chunk: SampleChunk) -> None:
        """Takes samples that are whole: what no delta has given of their text becomes one."""
        if self._text_deltas and not isinstance(chunk.rows, np.ndarray) and not chunk.media_type:
            for index, text in zip(chunk.indexes.tolist(), chunk.texts(), strict=True):
                self.add_delta(TextDelta(index, 0, text))
        for known in (self._characters, self._steps, self._previews):
            for index in chunk.indexes.tolist() if known else ():
                known.pop(index, None)

    def take(self) -> SamplePreview | TextDelta | None:
        """Gives the next preview or delta, where there is one."""
        if self._deltas:
            return self._deltas.pop(next(iter(self._deltas)))
        if self._previews:
            return self._previews.pop(next(iter(self._previews)))
        return None
