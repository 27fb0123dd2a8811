"""What can be asked of models. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy.typing as npt

from genservice.v1 import classification_pb2, generation_pb2
from genservice_client.classifying import Options, rows_of
from genservice_client.comparing import Comparing
from genservice_client.endpoint import Priority
from genservice_client.filtering import SampleFilter
from genservice_client.labelling import Labelling
from genservice_client.options import OptionLike, option_values
from genservice_client.row_values import RowsLike, RowValues, Together
from genservice_client.sampling import Order, sample_stream
from genservice_client.stream import AsyncSampleStream
from genservice_client.tensors import Array, joined_rows


class Verbs(Labelling, Comparing):
    """Samples, encodes, decodes, predicts, and does what its bases do."""

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
        keep: SampleFilter | None = None,
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
            keep=keep,
            timeout_s=timeout_s,
            priority=priority,
            options=option_values(options, more_options),
        )

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

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> dict[str, Array]:
        """Calls a signature, as `Client.predict` does."""
        names, together = tuple(inputs), _together(inputs)
        values, route = option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: tuple[RowValues, ...]) -> classification_pb2.PredictRequest:
            tensors = {key: rows.tensor() for key, rows in zip(names, part, strict=True)}
            return classification_pb2.PredictRequest(model=name, signature=signature, inputs=tensors, options=values)

        responses = await self._in_parts(lambda stubs: stubs.classification.Predict, model, together, ask, route)
        return {
            key: joined_rows([response.outputs[key] for response in responses], len(together))
            for key in sorted(responses[0].outputs)
        }


def _together(inputs: Mapping[str, npt.ArrayLike]) -> Together:
    """Takes the inputs of a signature."""
    rows = {name: RowValues.of(values, f"inputs[{name!r}]") for name, values in inputs.items()}
    if not rows:
        raise ValueError("inputs is empty; give an array for each input of the signature")
    for name, values in rows.items():
        if not values.is_numbers:
            raise TypeError(f"inputs[{name!r}] has no numbers; a signature takes arrays")
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"the inputs differ in their rows: {counts}")
    return Together(tuple(rows.values()))
