"""ClassificationService: classifies and embeds."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.engine.validation import check_verb
from genservice.errors import GenserviceError, InvalidRequest, OutOfRange
from genservice.server import convert
from genservice.server.calls import Context, refuse, run
from genservice.server.in_order import answers_in_order
from genservice.store.names import ModelName
from genservice.v1 import classification_pb2 as pb
from genservice.v1.classification_pb2_grpc import ClassificationServiceServicer

MOST_UNDER_WAY = 8
"""Most requests of one StreamClassify that are answered at once: enough to share batches, and bounded in memory."""


class ClassificationService(ClassificationServiceServicer):
    """The service over an engine.

    Args:
        engine: Does the work.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:  # noqa: N802
        """Gives p(label | x)."""
        if request.top_k:
            self._check_top_k(request)
        inputs = {"inputs": convert.rows(request.inputs, "inputs")}
        version, probabilities = await run(self._engine, request, context, "classify", inputs)
        probabilities = probabilities.astype(np.float32, copy=False)
        response = pb.ClassifyResponse(model=str(version.name), probabilities=convert.tensor(probabilities))
        if request.top_k:
            response.top.extend(_top(version, probabilities, request.top_k))
        return response

    async def StreamClassify(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StreamClassifyRequest], context: Context
    ) -> AsyncIterator[pb.StreamClassifyResponse]:
        """Classifies requests as they come, several at a time; the first that is refused ends the stream."""

        async def answer(request: pb.StreamClassifyRequest) -> pb.StreamClassifyResponse:
            try:
                return pb.StreamClassifyResponse(response=await self.Classify(request.request, context))
            except GenserviceError as error:
                error.field = error.field and f"request.{error.field}"
                raise

        async with aclosing(answers_in_order(request_iterator, answer, most=MOST_UNDER_WAY)) as answers:
            async for response in answers:
                yield response

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:  # noqa: N802
        """Maps inputs to vectors."""
        inputs = {"inputs": convert.rows(request.inputs, "inputs")}
        version, embeddings = await run(self._engine, request, context, "embed", inputs)
        embeddings = embeddings.astype(np.float32, copy=False)
        return pb.EmbedResponse(model=str(version.name), embeddings=convert.tensor(embeddings))

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:  # noqa: N802
        """Is not served yet."""
        refuse(self._engine, request, "compare")

    async def Identify(self, request: pb.IdentifyRequest, context: Context) -> pb.IdentifyResponse:  # noqa: N802
        """Is not served yet."""
        refuse(self._engine, request, "identify")

    async def Neighbours(self, request: pb.NeighboursRequest, context: Context) -> pb.NeighboursResponse:  # noqa: N802
        """Is not served yet."""
        refuse(self._engine, request, "neighbours")

    async def Tag(self, request: pb.TagRequest, context: Context) -> pb.TagResponse:  # noqa: N802
        """Is not served yet."""
        refuse(self._engine, request, "tag")

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802
        """Is not served yet."""
        refuse(self._engine, request, "predict")

    def _check_top_k(self, request: pb.ClassifyRequest) -> None:
        version = self._engine.catalog.ready(ModelName.parse(request.model))
        check_verb(version, "classify")
        assert version.description is not None
        most = len(version.description.labels)
        if request.top_k < 0:
            raise InvalidRequest(f"`top_k` is 0 or greater; got {request.top_k}.", field="top_k")
        if request.top_k > most:
            raise OutOfRange(f"`top_k` is at most {most}, the number of labels; got {request.top_k}.", field="top_k")


def _top(version: Version, probabilities: NDArray[Any], top_k: int) -> list[pb.TopLabels]:
    assert version.description is not None
    labels = version.description.labels
    # Stable, so that labels of equal probability come in their own order.
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [
        pb.TopLabels(
            labels=[pb.ScoredLabel(label=labels[index], index=index, probability=row[index]) for index in indexes]
        )
        for row, indexes in zip(probabilities.tolist(), order.tolist(), strict=True)
    ]
