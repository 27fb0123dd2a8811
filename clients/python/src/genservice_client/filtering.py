"""Draws of which only those samples are kept that a classifier lets pass. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from genservice.v1 import generation_pb2
from genservice_client.asked import Asked
from genservice_client.draw import Draw
from genservice_client.errors import ProtocolError, StreamChangedError
from genservice_client.names import resource_name
from genservice_client.options import OptionLike, option_values
from genservice_client.row_values import Conditions
from genservice_client.samples import SampleChunk, SampleHeader

DRAWS_A_SAMPLE = 100
"""Where a filter does not say how many samples may be drawn: so many for each that is asked for."""


@dataclass(frozen=True, kw_only=True)
class SampleFilter:
    """Which samples of a draw to keep: those that a classifier takes for a label.

    Samples are drawn by index, from the first index on, until as many pass as were asked for. Each keeps its index.
    """

    classifier: str
    """Name of the classifier, in any form that a model's name has. Its event is the generator's."""
    label: str
    """The label, one of the classifier's."""
    min_probability: float = 0.0
    """Keep samples with p(label | x) of at least this, from 0 to 1. 0: those for which the label is the most probable.
    """
    max_draws: int = 0
    """Most samples to draw, at least as many as are asked for. Where they do not suffice, DrawsExhaustedError tells.
    0: a hundred for each that is asked for."""
    options: Mapping[str, OptionLike] = field(default_factory=dict)
    """Options of the classifier, by name."""

    def __post_init__(self) -> None:
        resource_name(self.classifier)
        option_values(self.options, {})
        if not self.label:
            raise ValueError("label is empty; it must be one of the classifier's")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"min_probability is {self.min_probability}; it must be from 0 to 1")
        if self.max_draws < 0:
            raise ValueError(f"max_draws is {self.max_draws}; it must be 0 or greater")

    def message(self, sample_count: int) -> generation_pb2.SampleFilter:
        """Makes the message of a draw of so many samples.

        Raises:
            ValueError: `max_draws` is less.
        """
        if 0 < self.max_draws < sample_count:
            raise ValueError(f"max_draws is {self.max_draws}; it must be at least sample_count, {sample_count}")
        return generation_pb2.SampleFilter(
            classifier=resource_name(self.classifier),
            label=self.label,
            min_probability=self.min_probability,
            max_draws=self.max_draws or DRAWS_A_SAMPLE * sample_count,
            options=option_values(self.options, {}),
        )


class FilteredDraw(Draw):
    """A draw with a filter: one request at a time, each from where the one before had come to.

    Which samples come is known only when they do, so they are asked for by how many there are still to be kept, and how
    many may still be drawn. The classifier is pinned, as the generator is.

    Args:
        request: The whole draw, with its seed and its filter, and without conditions.
        conditions: The conditions of the whole draw, one row each.
        max_request_bytes: As for `Draw`.
    """

    def __init__(
        self, request: generation_pb2.SampleRequest, conditions: Conditions, *, max_request_bytes: int
    ) -> None:
        super().__init__(request, conditions, max_request_bytes=max_request_bytes)
        self.end = request.first_index + request.filter.max_draws
        self._kept_count = 0
        self._looked_at = request.first_index

    @property
    def received_count(self) -> int:
        """Samples that have come."""
        return self._kept_count

    @property
    def draw_count(self) -> int:
        """Samples that were drawn and looked at."""
        return self._looked_at - self.first_index

    @property
    def ready(self) -> bool:
        """Whether there are samples to be taken."""
        return bool(self._waiting)

    def pin(self, header: SampleHeader) -> SampleHeader:
        """Takes the header of a stream, as `Draw.pin` does; another classifier never goes on in the place of the first.

        Raises:
            StreamChangedError: The stream is not one of this draw.
        """
        pinned = super().pin(header)
        if header.classifier != pinned.classifier:
            raise StreamChangedError(
                f"the stream began filtered by {pinned.classifier}, and {header.classifier} decides now"
            )
        # An older server does not tell.
        self._template.filter.classifier = pinned.classifier or self._template.filter.classifier
        return pinned

    def ask_next(self) -> Asked:
        """Asks for the rest.

        Raises:
            DrawsExhaustedError: No more may be drawn.
        """
        draws_left = self.end - self._looked_at
        if not draws_left:
            raise self.exhausted()
        # No request may ask for more samples than it may draw; whether that was enough is seen at its end.
        sample_count = min(self.sample_count - self.received_count, draws_left)
        request = self.request(self._looked_at, self._looked_at + sample_count)
        request.filter.max_draws = draws_left
        return FilteredAsked(self, request, pinned=self.header is not None)

    def keep(self, chunk: SampleChunk | None, next_index: int) -> None:
        """Takes samples that passed, and how far the draw has come.

        Raises:
            ProtocolError: They do not follow what came before.
        """
        indexes = [] if chunk is None else chunk.indexes.tolist()
        # Each index lies before the next one, and all of them in what was to be looked at.
        if any(np.diff([self._looked_at - 1, *indexes, next_index]) < 1) or next_index > self.end:
            raise ProtocolError(
                f"[{self._looked_at}, {self.end}) is to be looked at; the indexes {indexes} came, and {next_index} next"
            )
        self._looked_at = next_index
        if chunk is not None:
            self._kept_count += len(chunk)
            self._hold(chunk)


class FilteredAsked(Asked):
    """A request of a draw with a filter, and the stream that answers it."""

    def __init__(self, draw: FilteredDraw, request: generation_pb2.SampleRequest, *, pinned: bool) -> None:
        super().__init__(draw, request, pinned=pinned)
        self.end = request.first_index + request.filter.max_draws
        self._filtered = draw
        self._kept_before = draw.received_count

    @property
    def complete(self) -> bool:
        """Whether as many samples have come as it asks for."""
        return self._filtered.received_count - self._kept_before >= self.request.sample_count

    def _receive_chunk(self, message: generation_pb2.SampleChunk) -> None:
        self._begun()
        chunk = self._chunk(message)[0] if message.indexes else None
        self._filtered.keep(chunk, message.next_index)
