"""One request of a draw, and what comes back. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genservice.v1 import generation_pb2
from genservice_client.errors import ProtocolError
from genservice_client.glimpses import SamplePreview, TextDelta
from genservice_client.samples import SampleChunk, SampleHeader, chunk_rows_from

if TYPE_CHECKING:
    from genservice_client.draw import Draw


class Asked:
    """A request for some samples of a draw, and the stream that answers it.

    Args:
        draw: Where the samples go.
        request: The request.
        pinned: Whether it asks for the version and the content of an earlier stream.
    """

    def __init__(self, draw: Draw, request: generation_pb2.SampleRequest, *, pinned: bool) -> None:
        self.request = request
        self.pinned = pinned
        self.start = request.first_index
        self.end = request.first_index + request.sample_count
        self._draw = draw
        self._header: SampleHeader | None = None

    @property
    def complete(self) -> bool:
        """Whether all of its samples have come, from here or from elsewhere."""
        return not self._draw.missing(self.start, self.end)

    def receive(self, response: generation_pb2.SampleResponse) -> None:
        """Takes a message of the stream. Kinds of messages that are not known are passed over.

        Raises:
            ProtocolError: It does not fit to what came before.
            StreamChangedError: The stream is not the one that was begun.
        """
        match response.WhichOneof("event"):
            case "header":
                if self._header is not None:
                    raise ProtocolError("the stream has two headers")
                self._header = self._draw.pin(SampleHeader.from_message(response.header))
            case "chunk":
                self._receive_chunk(response.chunk)
            case "preview":
                self._receive_preview(response.preview)
            case "text_delta":
                delta = response.text_delta
                if self._wants(delta.index):
                    self._draw.glimpses.add_delta(TextDelta(delta.index, delta.character_offset, delta.text))
            case "summary":
                if not self.complete:
                    raise ProtocolError("the stream's summary came before all of its samples")

    def _receive_chunk(self, message: generation_pb2.SampleChunk) -> None:
        chunk, ranges = self._chunk(message)
        if not self._draw.in_order:
            self._draw.add_as_ready(chunk, ranges)
            return
        place = 0
        for start, end in ranges:
            self._draw.add(chunk.at(slice(place, place + end - start)), start, end)
            place += end - start
            # Rows come in order, so a gap is a loss. What is behind it is kept; the caller leaves the stream, and a
            # later request asks for the gap alone: at most one range of a stream waits for its turn.
            if start > self.start and self._draw.missing(self.start, start):
                raise ProtocolError(f"samples before index {start} are missing in the stream")

    def _chunk(self, message: generation_pb2.SampleChunk) -> tuple[SampleChunk, list[tuple[int, int]]]:
        """Reads a chunk, and the ranges of its indexes."""
        header = self._begun()
        rows, media_type = chunk_rows_from(message)
        ranges = [(indexes.start, indexes.end) for indexes in message.indexes]
        if not all(self.start <= start < end <= self.end for start, end in ranges):
            raise ProtocolError(f"[{self.start}, {self.end}) was asked for, and the indexes {ranges} came")
        if sum(end - start for start, end in ranges) != len(rows):
            raise ProtocolError(f"a chunk has {len(rows)} rows for the indexes {ranges}")
        if not ranges:
            raise ProtocolError("a chunk came without samples")
        indexes = np.concatenate([np.arange(start, end, dtype=np.int64) for start, end in ranges])
        return SampleChunk(indexes, rows, header, media_type), ranges

    def _receive_preview(self, message: generation_pb2.SamplePreview) -> None:
        header = self._begun()
        if self._wants(message.index):
            # A preview's sample has the forms of a chunk's samples.
            fields = {field.name: value for field, value in message.ListFields() if field.name in ("tensor", "encoded")}
            rows, media_type = chunk_rows_from(generation_pb2.SampleChunk(**fields))
            if len(rows) != 1:
                raise ProtocolError(f"a preview of one sample has {len(rows)} rows")
            indexes = np.array([message.index], np.int64)
            self._draw.glimpses.add_preview(SamplePreview(indexes, rows, header, media_type, step=message.step))

    def _begun(self) -> SampleHeader:
        if self._header is None:
            raise ProtocolError("samples came before the stream's header")
        return self._header

    def _wants(self, index: int) -> bool:
        """Says whether a sample that is on its way is still missing."""
        self._begun()
        if not self.start <= index < self.end:
            raise ProtocolError(f"[{self.start}, {self.end}) was asked for, and part of sample {index} came")
        return bool(self._draw.missing(index, index + 1))
