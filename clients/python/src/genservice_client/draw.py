"""One draw of samples, whatever happens to its streams. No I/O."""

import numpy as np

from genservice.v1 import generation_pb2
from genservice_client.errors import NumericsChangedError, ProtocolError, StreamChangedError
from genservice_client.ranges import IndexRanges
from genservice_client.row_values import Conditions
from genservice_client.samples import Determinism, SampleChunk, SampleHeader, chunk_rows_from


class Draw:
    """What was asked for, what has come, and what to ask for next.

    A draw is one request or several: the next one asks for the first samples that are missing, of the version, content
    and seed of the first. So a stream may be cut anywhere, and every sample is given out once, in the order of indexes.

    Args:
        request: The whole draw, with its seed and without conditions.
        conditions: The conditions of the whole draw.
        max_request_bytes: Rows of conditions of more bytes are asked for in several requests.
    """

    def __init__(
        self, request: generation_pb2.SampleRequest, conditions: Conditions, *, max_request_bytes: int
    ) -> None:
        self.header: SampleHeader | None = None
        self._template = request
        self._conditions = conditions
        self._end = request.first_index + request.sample_count
        row_bytes = conditions.row_bytes
        self._max_request_rows = max(1, max_request_bytes // row_bytes) if row_bytes else request.sample_count
        self._received = IndexRanges()
        self._next_index = request.first_index
        self._waiting: list[SampleChunk] = []
        self._asked = (self._next_index, self._end)
        self._stream_has_header = False
        self._pinned = False

    @property
    def sample_count(self) -> int:
        """Samples of the draw."""
        return self._template.sample_count

    @property
    def received_count(self) -> int:
        """Samples that have come."""
        return len(self._received)

    @property
    def complete(self) -> bool:
        """Whether all samples have come."""
        return self.received_count == self.sample_count

    @property
    def request_complete(self) -> bool:
        """Whether all samples of the last request have come, its summary or not."""
        return not self._received.missing(*self._asked)

    @property
    def request_pinned(self) -> bool:
        """Whether the last request asked for the version and the content of an earlier stream."""
        return self._pinned

    def next_request(self) -> generation_pb2.SampleRequest:
        """Asks for the first samples that are missing; there are some."""
        start, end = self._received.missing(self._template.first_index, self._end)[0]
        self._asked = start, end = start, min(end, start + self._max_request_rows)
        self._stream_has_header = False
        request = generation_pb2.SampleRequest()
        request.CopyFrom(self._template)
        request.first_index, request.sample_count = start, end - start
        self._pinned = self.header is not None
        if self.header is not None:
            request.model, request.content_hash = self.header.model, self.header.content_hash
        first = self._template.first_index
        for name, condition in self._conditions.messages(start - first, end - first).items():
            request.conditions[name].CopyFrom(condition)
        return request

    def receive(self, response: generation_pb2.SampleResponse) -> None:
        """Takes a message of the stream. Kinds of messages that are not known are passed over.

        Raises:
            ProtocolError: It does not fit to what came before.
            StreamChangedError: The stream is not the one that was begun.
        """
        match response.WhichOneof("event"):
            case "header":
                self._receive_header(SampleHeader.from_message(response.header))
            case "chunk":
                self._receive_chunk(response.chunk)
            case "summary":
                if not self.request_complete:
                    raise ProtocolError("the stream's summary came before all of its samples")

    def take(self) -> SampleChunk | None:
        """Gives out the next samples, where they have come."""
        if not self._waiting or self._waiting[0].indexes[0] != self._next_index:
            return None
        chunk = self._waiting.pop(0)
        self._next_index += len(chunk)
        return chunk

    def _receive_header(self, header: SampleHeader) -> None:
        if self._stream_has_header:
            raise ProtocolError("the stream has two headers")
        pinned = self.header or header
        if header.seed != self._template.seed:
            raise StreamChangedError(f"seed {self._template.seed} was asked for, and seed {header.seed} answers")
        if (header.model, header.content_hash) != (pinned.model, pinned.content_hash):
            raise StreamChangedError(
                f"the stream began on {pinned.model} ({pinned.content_hash}), and {header.model} "
                f"({header.content_hash}) answers now"
            )
        if pinned.determinism is Determinism.BITWISE and header.numerics != pinned.numerics:
            raise NumericsChangedError(
                f"the stream began with the numerics {pinned.numerics!r}, and a replica with {header.numerics!r} "
                "answers now"
            )
        self.header = pinned
        self._stream_has_header = True

    def _receive_chunk(self, message: generation_pb2.SampleChunk) -> None:
        if self.header is None or not self._stream_has_header:
            raise ProtocolError("samples came before the stream's header")
        rows, media_type = chunk_rows_from(message)
        ranges = [(indexes.start, indexes.end) for indexes in message.indexes]
        asked_start, asked_end = self._asked
        if not all(asked_start <= start < end <= asked_end for start, end in ranges):
            raise ProtocolError(f"[{asked_start}, {asked_end}) was asked for, and the indexes {ranges} came")
        if sum(end - start for start, end in ranges) != len(rows):
            raise ProtocolError(f"a chunk has {len(rows)} rows for the indexes {ranges}")
        place = 0
        for start, end in ranges:
            part = rows[place : place + end - start]
            chunk = SampleChunk(np.arange(start, end, dtype=np.int64), part, self.header, media_type)
            self._keep(chunk, start, end)
            place += end - start

    def _keep(self, chunk: SampleChunk, start: int, end: int) -> None:
        fresh = self._received.add(start, end)
        self._waiting.extend(chunk.part(*piece) for piece in fresh)
        self._waiting.sort(key=lambda waiting: int(waiting.indexes[0]))
        # Rows go out in order, so a gap is a loss. What is behind it is kept; the caller leaves the stream, and the
        # next request asks for the gap alone: at most one range of a stream waits for its turn.
        if start > self._asked[0] and self._received.missing(self._asked[0], start):
            raise ProtocolError(f"samples before index {start} are missing in the stream")
