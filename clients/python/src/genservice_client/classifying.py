"""Classification. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from genservice.v1 import classification_pb2, types_pb2
from genservice_client.calls import Method
from genservice_client.catalogue import Catalogue
from genservice_client.classification import Classification
from genservice_client.classify_stream import answers
from genservice_client.endpoint import Priority
from genservice_client.names import resource_name
from genservice_client.options import OptionLike, option_values
from genservice_client.retry import Deadline
from genservice_client.route import Route
from genservice_client.row_values import RowsLike, RowValues


class _Answer(Protocol):
    model: str


Request = TypeVar("Request")
Answer = TypeVar("Answer", bound=_Answer)
Part = TypeVar("Part")
Part_co = TypeVar("Part_co", covariant=True)
Options = Mapping[str, OptionLike] | None


class Divisible(Protocol[Part_co]):
    """Rows that go in several requests where they are many."""

    def __len__(self) -> int:
        """Counts them."""

    def parts(self, *, max_rows: int, max_bytes: int) -> Iterator[Part_co]:
        """Splits them, in order, into parts within both limits; a row too large for them goes alone."""


class Classifying(Catalogue):
    """Classifies inputs, and asks about rows in parts."""

    async def classify(
        self,
        model: str,
        inputs: RowsLike,
        *,
        top_k: int = 0,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Classification:
        """Classifies inputs, as `Client.classify` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> classification_pb2.ClassifyRequest:
            return _classify_request(name, part, values, top_k)

        responses = await self._in_parts(lambda stubs: stubs.classification.Classify, model, rows, ask, route)
        labels = () if top_k else (await self._version(responses[0].model, route.deadline)).labels
        return Classification.joined(responses, labels, len(rows))

    def stream_classify(
        self,
        model: str,
        inputs: Iterable[RowsLike] | AsyncIterable[RowsLike],
        *,
        top_k: int = 0,
        in_flight: int = 4,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> AsyncGenerator[Classification, None]:
        """Classifies inputs as they come, as `Client.stream_classify` does."""
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; it must be at least 1")
        name, values = resource_name(model), option_values(options, more_options)
        route = Route(self._replicas, Deadline(timeout_s, self._endpoint.clock), priority)
        return self._stream_classify(name, inputs, values, top_k, in_flight, route)

    async def _in_parts(
        self,
        method: Method[Request, Answer],
        model: str,
        rows: Divisible[Part],
        ask: Callable[[str, Part], Request],
        route: Route,
        *,
        pinned: bool = False,
        beside_bytes: int = 0,
    ) -> list[Answer]:
        """Asks about rows in as many requests as they need, one after another, all answered by one version.

        Args:
            method: Gives the method of the services on a channel.
            model: Name of the model.
            rows: What to ask about.
            ask: Makes a request of the version's name and a part of the rows.
            route: Whom to ask, and until when.
            pinned: Whether the name is that of a version that has answered before.
            beside_bytes: Bytes of a request that are no rows.
        """
        limits = self._endpoint.limits
        name = resource_name(model)
        responses: list[Answer] = []
        for part in rows.parts(
            max_rows=limits.max_request_rows, max_bytes=max(1, limits.max_request_bytes - beside_bytes)
        ):
            response = await route.unary(method, ask(name, part), pinned=pinned or bool(responses))
            name = response.model
            responses.append(response)
        return responses

    async def _stream_classify(
        self,
        model: str,
        inputs: Iterable[RowsLike] | AsyncIterable[RowsLike],
        values: Mapping[str, types_pb2.OptionValue],
        top_k: int,
        in_flight: int,
        route: Route,
    ) -> AsyncGenerator[Classification, None]:
        async def asks() -> AsyncIterator[classification_pb2.StreamClassifyRequest]:
            async for rows in _each(inputs):
                request = _classify_request(model, rows_of(rows), values, top_k)
                yield classification_pb2.StreamClassifyRequest(request=request)

        stream = answers(route, asks(), in_flight=in_flight)
        try:
            async for asked, answer in stream:
                condition = asked.request.inputs
                row_count = len(condition.strings.rows) or len(condition.encoded.rows) or condition.tensor.shape[0]
                labels = () if top_k else (await self._version(answer.response.model, route.deadline)).labels
                yield Classification.joined([answer.response], labels, row_count)
        finally:
            await stream.aclose()


def rows_of(inputs: RowsLike) -> RowValues:
    """Takes the argument `inputs`."""
    return RowValues.of(inputs, "inputs")


def _classify_request(
    model: str, rows: RowValues, options: Mapping[str, types_pb2.OptionValue], top_k: int
) -> classification_pb2.ClassifyRequest:
    return classification_pb2.ClassifyRequest(model=model, inputs=rows.message(), options=options, top_k=top_k)


async def _each(inputs: Iterable[RowsLike] | AsyncIterable[RowsLike]) -> AsyncIterator[RowsLike]:
    if isinstance(inputs, AsyncIterable):
        async for rows in inputs:
            yield rows
    else:
        for rows in inputs:
            yield rows
