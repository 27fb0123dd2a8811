"""What can be asked of models. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from typing import Protocol, TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2, generation_pb2, types_pb2
from genservice_client.catalogue import Catalogue
from genservice_client.classification import Classification, Score, ScoreKind
from genservice_client.classify_stream import answers
from genservice_client.names import resource_name
from genservice_client.options import OptionScalar, option_values
from genservice_client.retry import Deadline
from genservice_client.row_values import RowsLike, RowValues
from genservice_client.sampling import sample_stream
from genservice_client.stream import AsyncSampleStream
from genservice_client.tensors import Array, joined_rows


class _Answer(Protocol):
    model: str


Request = TypeVar("Request")
Answer = TypeVar("Answer", bound=_Answer)
Options = Mapping[str, OptionScalar] | None


class Verbs(Catalogue):
    """Samples, classifies, scores, embeds, encodes and decodes."""

    def sample(
        self,
        model: str,
        sample_count: int,
        *,
        seed: int | None = None,
        first_index: int = 0,
        output: str | None = None,
        chunk_rows: int = 0,
        conditions: Mapping[str, RowsLike] | None = None,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> AsyncSampleStream:
        """Prepares a stream of samples, as `Client.sample` does."""
        return sample_stream(
            self._transport,
            model,
            sample_count,
            seed=seed,
            first_index=first_index,
            output=output,
            chunk_rows=chunk_rows,
            conditions=conditions,
            timeout_s=timeout_s,
            options=option_values(options, more_options),
        )

    async def classify(
        self,
        model: str,
        inputs: RowsLike,
        *,
        top_k: int = 0,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> Classification:
        """Classifies inputs, as `Client.classify` does."""
        rows, values, deadline = _rows(inputs), option_values(options, more_options), self._deadline(timeout_s)

        def ask(name: str, part: RowValues) -> classification_pb2.ClassifyRequest:
            return _classify_request(name, part, values, top_k)

        responses = await self._in_parts(self._transport.stubs.classification.Classify, model, rows, ask, deadline)
        labels = () if top_k else await self._labels(responses[0].model, deadline)
        return Classification.joined(responses, labels, len(rows))

    def stream_classify(
        self,
        model: str,
        inputs: Iterable[RowsLike] | AsyncIterable[RowsLike],
        *,
        top_k: int = 0,
        in_flight: int = 4,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> AsyncGenerator[Classification, None]:
        """Classifies inputs as they come, as `Client.stream_classify` does."""
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; it must be at least 1")
        name, values = resource_name(model), option_values(options, more_options)
        return self._stream_classify(name, inputs, values, top_k, in_flight, Deadline(timeout_s, self._endpoint.clock))

    async def score(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> Score:
        """Gives log p(x), as `Client.score` does."""
        rows, values, deadline = _rows(inputs), option_values(options, more_options), self._deadline(timeout_s)

        def ask(name: str, part: RowValues) -> generation_pb2.ScoreRequest:
            return generation_pb2.ScoreRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(self._transport.stubs.generation.Score, model, rows, ask, deadline)
        log_prob = joined_rows([response.log_prob for response in responses], len(rows))
        return Score(responses[0].model, log_prob, ScoreKind.from_message(responses[0].kind))

    async def embed(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> npt.NDArray[np.float32]:
        """Embeds inputs, as `Client.embed` does."""
        rows, values, deadline = _rows(inputs), option_values(options, more_options), self._deadline(timeout_s)

        def ask(name: str, part: RowValues) -> classification_pb2.EmbedRequest:
            return classification_pb2.EmbedRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(self._transport.stubs.classification.Embed, model, rows, ask, deadline)
        return joined_rows([response.embeddings for response in responses], len(rows))

    async def encode(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> Array:
        """Maps inputs to latents, as `Client.encode` does."""
        rows, values, deadline = _rows(inputs), option_values(options, more_options), self._deadline(timeout_s)

        def ask(name: str, part: RowValues) -> generation_pb2.EncodeRequest:
            return generation_pb2.EncodeRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(self._transport.stubs.generation.Encode, model, rows, ask, deadline)
        return joined_rows([response.latents for response in responses], len(rows))

    async def decode(
        self,
        model: str,
        latents: npt.ArrayLike,
        *,
        timeout_s: float | None = None,
        options: Options = None,
        **more_options: OptionScalar,
    ) -> Array:
        """Maps latents to samples, as `Client.decode` does."""
        rows, values = RowValues.of(latents, "latents"), option_values(options, more_options)

        def ask(name: str, part: RowValues) -> generation_pb2.DecodeRequest:
            return generation_pb2.DecodeRequest(model=name, latents=part.tensor(), options=values)

        method, deadline = self._transport.stubs.generation.Decode, self._deadline(timeout_s)
        responses = await self._in_parts(method, model, rows, ask, deadline)
        return joined_rows([response.samples for response in responses], len(rows))

    async def _in_parts(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Answer],
        model: str,
        rows: RowValues,
        ask: Callable[[str, RowValues], Request],
        deadline: Deadline,
    ) -> list[Answer]:
        """Asks about rows in as many requests as they need, one after another, all answered by one version."""
        limits = self._endpoint.limits
        name = resource_name(model)
        responses = []
        for part in rows.parts(max_rows=limits.max_request_rows, max_bytes=limits.max_request_bytes):
            response = await self._call(method, ask(name, part), deadline)
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
        deadline: Deadline,
    ) -> AsyncGenerator[Classification, None]:
        async def asks() -> AsyncIterator[classification_pb2.StreamClassifyRequest]:
            async for rows in _each(inputs):
                request = _classify_request(model, _rows(rows), values, top_k)
                yield classification_pb2.StreamClassifyRequest(request=request)

        stream = answers(self._transport, asks(), in_flight=in_flight, deadline=deadline)
        try:
            async for asked, answer in stream:
                condition = asked.request.inputs
                row_count = len(condition.strings.rows) or condition.tensor.shape[0]
                labels = () if top_k else await self._labels(answer.response.model, deadline)
                yield Classification.joined([answer.response], labels, row_count)
        finally:
            await stream.aclose()


def _rows(inputs: RowsLike) -> RowValues:
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
