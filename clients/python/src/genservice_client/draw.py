"""One draw of samples, whatever happens to its streams. No I/O."""

from bisect import insort

from genservice.v1 import generation_pb2
from genservice_client.asked import Asked
from genservice_client.errors import DrawsExhaustedError, NumericsChangedError, StreamChangedError
from genservice_client.glimpses import Glimpses, SampleEvent
from genservice_client.ranges import IndexRanges
from genservice_client.row_values import Conditions
from genservice_client.samples import Determinism, SampleChunk, SampleHeader


class Draw:
    """What was asked for, what has come, and what to ask for next.

    A draw is one request or several, one after another or at the same time: each asks for samples that are missing, of
    the version, content and seed of the first. So a stream may be cut anywhere, and every sample is given out once: in
    the order of indexes, or, where the request says so, as it comes.

    Args:
        request: The whole draw, with its seed and without conditions.
        conditions: The conditions of the whole draw.
        max_request_bytes: Rows of conditions of more bytes are asked for in several requests.

    Attributes:
        header: What the draw is pinned to, once the first stream has begun.
        first_index: The first index of the draw.
        end: One past the last index.
        in_order: Whether samples are given out by index.
        next_index: Where they are: the index of the sample that is given out next.
        held_bytes: Bytes of the samples that have come and were not taken.
        glimpses: Previews and text of samples on their way.
    """

    def __init__(
        self, request: generation_pb2.SampleRequest, conditions: Conditions, *, max_request_bytes: int
    ) -> None:
        self.header: SampleHeader | None = None
        self.first_index = request.first_index
        self.end = request.first_index + request.sample_count
        self.in_order = request.order != generation_pb2.SAMPLE_ORDER_AS_READY
        self.next_index = request.first_index
        self.held_bytes = 0
        self.glimpses = Glimpses(text_deltas=request.text_deltas)
        self._template = request
        self._conditions = conditions
        row_bytes = conditions.row_bytes
        self._max_request_rows = max(1, max_request_bytes // row_bytes) if row_bytes else request.sample_count
        self._received = IndexRanges()
        self._received_bytes = 0
        self._waiting: list[SampleChunk] = []

    @property
    def sample_count(self) -> int:
        """Samples of the draw."""
        return self._template.sample_count

    @property
    def received_count(self) -> int:
        """Samples that have come."""
        return len(self._received)

    @property
    def draw_count(self) -> int:
        """Samples that were drawn for those that have come."""
        return self.received_count

    @property
    def row_bytes(self) -> float:
        """Bytes of a sample, on the average of those that have come; 0 before."""
        return self._received_bytes / self.received_count if self._received_bytes else 0.0

    @property
    def complete(self) -> bool:
        """Whether all samples have come."""
        return self.received_count == self.sample_count

    @property
    def ready(self) -> bool:
        """Whether there are samples to be taken."""
        return bool(self._waiting) and (not self.in_order or self._waiting[0].indexes[0] == self.next_index)

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """Gives the parts of [start, end) that have not come, in ascending order."""
        return self._received.missing(start, end) if start < end else []

    def ask_next(self) -> Asked:
        """Asks for the first samples that are missing; there are some."""
        return self.ask(*self.missing(self.first_index, self.end)[0])

    def ask(self, start: int, end: int) -> Asked:
        """Asks for the samples of [start, end), or for the first of them where one request cannot ask for all."""
        end = min(end, start + self._max_request_rows)
        return Asked(self, self.request(start, end), pinned=self.header is not None)

    def request(self, start: int, end: int) -> generation_pb2.SampleRequest:
        """Makes the request for the samples of [start, end), pinned to what has begun."""
        request = generation_pb2.SampleRequest()
        request.CopyFrom(self._template)
        request.first_index, request.sample_count = start, end - start
        if self.header is not None:
            request.model, request.content_hash = self.header.model, self.header.content_hash
        for name, condition in self._conditions.messages(start - self.first_index, end - self.first_index).items():
            request.conditions[name].CopyFrom(condition)
        return request

    def pin(self, header: SampleHeader) -> SampleHeader:
        """Takes the header of a stream, and gives the one that the draw is pinned to.

        Raises:
            StreamChangedError: The stream is not one of this draw.
        """
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
        return pinned

    def add(self, chunk: SampleChunk, start: int, end: int) -> None:
        """Takes the samples of [start, end), of which some may have come before."""
        for fresh_start, fresh_end in self._received.add(start, end):
            self._hold(chunk.at(slice(fresh_start - start, fresh_end - start)))

    def add_as_ready(self, chunk: SampleChunk, ranges: list[tuple[int, int]]) -> None:
        """Takes the samples of several ranges, in any order, of which some may have come before."""
        places: list[int] = []
        place = 0
        for start, end in ranges:
            for fresh_start, fresh_end in self._received.add(start, end):
                places.extend(range(place + fresh_start - start, place + fresh_end - start))
            place += end - start
        if places:
            self._hold(chunk if len(places) == len(chunk) else chunk.at(places))

    def exhausted(self) -> DrawsExhaustedError:
        """Makes the error of a draw whose filter let too few samples pass."""
        draw_count = self.end - self.first_index
        return DrawsExhaustedError(
            f"{self.received_count} of {self.sample_count} samples passed the filter in {draw_count} draws, the most "
            "allowed",
            reason="DRAWS_EXHAUSTED",
            metadata={
                "sample_count": str(self.received_count),
                "draw_count": str(draw_count),
                "next_index": str(self.end),
            },
        )

    def take(self) -> SampleEvent | None:
        """Gives out what comes next, where it has come. The text of a sample comes before the sample."""
        glimpse = self.glimpses.take()
        if glimpse is not None or not self.ready:
            return glimpse
        chunk = self._waiting.pop(0)
        self.next_index += len(chunk)
        self.held_bytes -= chunk.row_bytes
        return chunk

    def _hold(self, chunk: SampleChunk) -> None:
        if self.in_order:
            insort(self._waiting, chunk, key=lambda waiting: int(waiting.indexes[0]))
        else:
            self._waiting.append(chunk)
        self.held_bytes += chunk.row_bytes
        self._received_bytes += chunk.row_bytes
        self.glimpses.complete(chunk)
