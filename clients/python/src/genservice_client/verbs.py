"""What can be asked of models. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2, generation_pb2
from genservice_client.classification import Score, ScoreKind
from genservice_client.classifying import Classifying, Options, rows_of
from genservice_client.endpoint import Priority
from genservice_client.options import OptionLike, option_values
from genservice_client.row_values import RowsLike, RowValues
from genservice_client.sampling import Order, sample_stream
from genservice_client.stream import AsyncSampleStream
from genservice_client.tensors import Array, joined_rows


class Verbs(Classifying):
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
        order: Order = "index",
        preview_steps: int = 0,
        text_deltas: bool = False,
        conditions: Mapping[str, RowsLike] | None = None,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> AsyncSampleStream:
        """Prepares a stream of samples, as `Client.sample` does."""
        return sample_stream(
            self._replicas,
            model,
            sample_count,
            seed=seed,
            first_index=first_index,
            output=output,
            chunk_rows=chunk_rows,
            order=order,
            preview_steps=preview_steps,
            text_deltas=text_deltas,
            conditions=conditions,
            timeout_s=timeout_s,
            priority=priority,
            options=option_values(options, more_options),
        )

    async def score(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Score:
        """Gives log p(x), as `Client.score` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> generation_pb2.ScoreRequest:
            return generation_pb2.ScoreRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(lambda stubs: stubs.generation.Score, model, rows, ask, route)
        log_prob = joined_rows([response.log_prob for response in responses], len(rows))
        return Score(responses[0].model, log_prob, ScoreKind.from_message(responses[0].kind))

    async def embed(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> npt.NDArray[np.float32]:
        """Embeds inputs, as `Client.embed` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> classification_pb2.EmbedRequest:
            return classification_pb2.EmbedRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(lambda stubs: stubs.classification.Embed, model, rows, ask, route)
        return joined_rows([response.embeddings for response in responses], len(rows))

    async def encode(
        self,
        model: str,
        inputs: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Array:
        """Maps inputs to latents, as `Client.encode` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> generation_pb2.EncodeRequest:
            return generation_pb2.EncodeRequest(model=name, inputs=part.message(), options=values)

        responses = await self._in_parts(lambda stubs: stubs.generation.Encode, model, rows, ask, route)
        return joined_rows([response.latents for response in responses], len(rows))

    async def decode(
        self,
        model: str,
        latents: npt.ArrayLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Array:
        """Maps latents to samples, as `Client.decode` does."""
        rows, values = RowValues.of(latents, "latents"), option_values(options, more_options)

        def ask(name: str, part: RowValues) -> generation_pb2.DecodeRequest:
            return generation_pb2.DecodeRequest(model=name, latents=part.tensor(), options=values)

        responses = await self._in_parts(
            lambda stubs: stubs.generation.Decode, model, rows, ask, self._route(timeout_s, priority)
        )
        return joined_rows([response.samples for response in responses], len(rows))
