"""Comparisons. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2, types_pb2
from genservice_client.classifying import Classifying, Options, rows_of
from genservice_client.comparison import Comparison, Identification, Neighbours
from genservice_client.endpoint import Priority
from genservice_client.gallery import Gallery
from genservice_client.model_gallery import AsyncModelGallery
from genservice_client.names import resource_name
from genservice_client.options import OptionLike, option_values
from genservice_client.route import Route
from genservice_client.row_values import RowsLike, RowValues, Together
from genservice_client.tensors import joined_rows


class Comparing(Classifying):
    """Embeds and compares inputs, finds them in galleries, and finds their neighbours."""

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
        rows, values = rows_of(inputs), option_values(options, more_options)
        return await self._embed(model, rows, values, self._route(timeout_s, priority))

    async def compare(
        self,
        model: str,
        inputs: RowsLike,
        others: RowsLike,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Comparison:
        """Compares pairs of inputs, as `Client.compare` does."""
        pairs = _pairs(rows_of(inputs), RowValues.of(others, "others"))
        values, route = option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: tuple[RowValues, ...]) -> classification_pb2.CompareRequest:
            first, second = part
            return classification_pb2.CompareRequest(
                model=name, inputs=first.message(), others=second.message(), options=values
            )

        responses = await self._in_parts(lambda stubs: stubs.classification.Compare, model, pairs, ask, route)
        return Comparison.joined(responses, len(pairs))

    async def enrol(
        self,
        model: str,
        name: str,
        inputs: RowsLike,
        gallery: Gallery,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> None:
        """Adds someone to a gallery, as `Client.enrol` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)
        version = await self._answering(resource_name(model), route.deadline)
        gallery.check(version)
        embeddings = await self._embed(version.name, rows, values, route, pinned=True)
        gallery.adopt(version)
        gallery.enrol(name, embeddings)

    async def identify(
        self,
        model: str,
        inputs: RowsLike,
        gallery: Gallery,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Identification:
        """Finds inputs in a gallery, as `Client.identify` does."""
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)
        entries, names = gallery.tensor(), gallery.names
        version = await self._answering(resource_name(model), route.deadline)
        gallery.check(version)

        def ask(name: str, part: RowValues) -> classification_pb2.IdentifyRequest:
            return classification_pb2.IdentifyRequest(
                model=name, inputs=part.message(), gallery=entries, names=names, options=values
            )

        responses = await self._in_parts(
            lambda stubs: stubs.classification.Identify,
            version.name,
            rows,
            ask,
            route,
            pinned=True,
            beside_bytes=len(entries.data) + sum(len(name.encode()) + 4 for name in names),
        )
        return Identification.joined(responses, len(rows))

    def gallery(self, model: str, gallery: Gallery | None = None) -> AsyncModelGallery:
        """Gives a gallery of a model, as `Client.gallery` does."""
        resource_name(model)
        return AsyncModelGallery(self, model, Gallery() if gallery is None else gallery)

    async def neighbours(
        self,
        model: str,
        inputs: RowsLike,
        k: int,
        *,
        timeout_s: float | None = None,
        priority: Priority | None = None,
        options: Options = None,
        **more_options: OptionLike,
    ) -> Neighbours:
        """Finds the nearest reference rows, as `Client.neighbours` does."""
        if not 1 <= k < 2**31:
            raise ValueError(f"k is {k}; it must be from 1 to the number of reference rows")
        rows, values, route = rows_of(inputs), option_values(options, more_options), self._route(timeout_s, priority)

        def ask(name: str, part: RowValues) -> classification_pb2.NeighboursRequest:
            return classification_pb2.NeighboursRequest(model=name, inputs=part.message(), k=k, options=values)

        responses = await self._in_parts(lambda stubs: stubs.classification.Neighbours, model, rows, ask, route)
        return Neighbours.joined(responses, len(rows), k)

    async def _embed(
        self,
        model: str,
        rows: RowValues,
        options: Mapping[str, types_pb2.OptionValue],
        route: Route,
        *,
        pinned: bool = False,
    ) -> npt.NDArray[np.float32]:
        def ask(name: str, part: RowValues) -> classification_pb2.EmbedRequest:
            return classification_pb2.EmbedRequest(model=name, inputs=part.message(), options=options)

        responses = await self._in_parts(
            lambda stubs: stubs.classification.Embed, model, rows, ask, route, pinned=pinned
        )
        return joined_rows([response.embeddings for response in responses], len(rows))


def _pairs(inputs: RowValues, others: RowValues) -> Together:
    """Puts inputs beside others; where one side has one row, it is compared with each of the other side."""
    if len(inputs) != len(others):
        if len(inputs) == 1:
            inputs = inputs.repeated(len(others))
        elif len(others) == 1:
            others = others.repeated(len(inputs))
        else:
            raise ValueError(
                f"inputs has {len(inputs)} rows and others {len(others)}; give as many, or one for all of the other"
            )
    return Together((inputs, others))
