"""ClassificationService: classifies, embeds, compares and labels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Rows
from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.engine.sequences import pad
from genservice.engine.verbs import prediction
from genservice.errors import GenserviceError, InvalidRequest, OutOfRange, suggestion
from genservice.server import convert
from genservice.server.calls import Context, field_named, model_of, run, run_function
from genservice.server.in_order import answers_in_order
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
        """Says of each pair whether both show the same."""
        model: Any = model_of(self._engine, request, "compare")
        inputs, others = convert.rows(request.inputs, "inputs"), convert.rows(request.others, "others")
        if len(inputs) != len(others):
            raise InvalidRequest(f"`others` has {len(others)} rows, and `inputs` {len(inputs)}.", field="others")
        version, left = await run(self._engine, request, context, "embed", {"inputs": inputs})
        with field_named("inputs", "others"):
            # Of the same version, whatever is loaded meanwhile.
            pinned = pb.CompareRequest(model=str(version.name), options=request.options)
            _, right = await run(self._engine, pinned, context, "embed", {"inputs": others})
        distances = np.linalg.norm(left - right, axis=1).astype(np.float32)
        return pb.CompareResponse(
            model=str(version.name), distances=convert.tensor(distances), threshold=model.threshold
        )

    async def Identify(self, request: pb.IdentifyRequest, context: Context) -> pb.IdentifyResponse:  # noqa: N802
        """Finds each input in a gallery."""
        model: Any = model_of(self._engine, request, "identify")
        gallery = _gallery(request)
        inputs = {"inputs": convert.rows(request.inputs, "inputs")}
        version, embeddings = await run(self._engine, request, context, "embed", inputs)
        if gallery.shape[1] != embeddings.shape[1]:
            raise InvalidRequest(
                f"`gallery` has entries of {gallery.shape[1]} dimensions, and {version.name} embeds in "
                f"{embeddings.shape[1]}.",
                field="gallery",
            )
        places, distances = await asyncio.to_thread(nearest, embeddings, gallery)
        found = zip(places.tolist(), distances.tolist(), strict=True)
        names = [request.names[place] if distance < model.threshold else "" for place, distance in found]
        return pb.IdentifyResponse(
            model=str(version.name), names=names, distances=convert.tensor(distances), threshold=model.threshold
        )

    async def Neighbours(self, request: pb.NeighboursRequest, context: Context) -> pb.NeighboursResponse:  # noqa: N802
        """Finds the nearest reference rows of each input."""
        model_of(self._engine, request, "neighbours")
        inputs = {"inputs": convert.rows(request.inputs, "inputs"), "k": np.array([request.k], np.int32)}
        version, results = await run_function(self._engine, request, context, "neighbours", inputs)
        return pb.NeighboursResponse(
            model=str(version.name),
            indexes=convert.tensor(results["indexes"].astype(np.int64, copy=False)),
            distances=convert.tensor(results["distances"].astype(np.float32, copy=False)),
        )

    async def Tag(self, request: pb.TagRequest, context: Context) -> pb.TagResponse:  # noqa: N802
        """Gives one label to each position of a sequence."""
        model: Any = model_of(self._engine, request, "tag")
        inputs = pad(model, convert.sequences(request.sequences, "sequences"))
        lengths: Any = inputs["lengths"]
        with field_named("inputs", "sequences"):
            version, results = await run_function(self._engine, request, context, "tag", inputs)
        labels, marginals = results["labels"], results["marginals"].astype(np.float32, copy=False)
        taggings = [
            pb.Tagging(
                labels=[model.labels[place] for place in labels[row, :length].tolist()],
                marginals=convert.tensor(marginals[row, :length]),
            )
            for row, length in enumerate(lengths.tolist())
        ]
        return pb.TagResponse(model=str(version.name), taggings=taggings)

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802
        """Calls a signature of the model as it is."""
        model: Any = model_of(self._engine, request, "predict")
        name = request.signature or model.default_signature
        if name not in model.signatures:
            raise InvalidRequest(
                f"The model has no signature {name!r}.{suggestion(name, model.signatures)}", field="signature"
            )
        inputs: dict[str, Rows] = {
            key: convert.tensor_rows(message, f"inputs.{key}") for key, message in request.inputs.items()
        }
        version, results = await run_function(self._engine, request, context, prediction(name), inputs)
        return pb.PredictResponse(
            model=str(version.name), outputs={key: convert.tensor(column) for key, column in results.items()}
        )

    def _check_top_k(self, request: pb.ClassifyRequest) -> None:
        most = len(model_of(self._engine, request, "classify").labels)
        if request.top_k < 0:
            raise InvalidRequest(f"`top_k` is 0 or greater; got {request.top_k}.", field="top_k")
        if request.top_k > most:
            raise OutOfRange(f"`top_k` is at most {most}, the number of labels; got {request.top_k}.", field="top_k")


def _gallery(request: pb.IdentifyRequest) -> NDArray[Any]:
    """The gallery of a request, float32 `[entries, dimensions]`."""
    if not request.HasField("gallery") or not request.names:
        raise InvalidRequest("`gallery` is empty: enrol at least one entry, with its name.", field="gallery")
    gallery = convert.tensor_rows(request.gallery, "gallery")
    if gallery.dtype != np.float32 or gallery.ndim != 2 or not np.isfinite(gallery).all():
        raise InvalidRequest("`gallery` takes float32 `[entries, dimensions]` of finite numbers.", field="gallery")
    if len(gallery) != len(request.names):
        raise InvalidRequest(f"`names` has {len(request.names)} names for {len(gallery)} entries.", field="names")
    if not all(request.names):
        raise InvalidRequest("`names` has an empty name.", field="names")
    return gallery


def nearest(rows: NDArray[Any], gallery: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest entry of each row, and its Euclidean distance.

    Args:
        rows: float32 `[rows, dimensions]`.
        gallery: float32 `[entries, dimensions]`.

    Returns:
        Places int64 `[rows]`, the first of several that are equally near; distances float32 `[rows]`.
    """
    places = np.empty(len(rows), np.int64)
    distances = np.empty(len(rows), np.float32)
    for number, row in enumerate(rows):
        each = np.linalg.norm(gallery - row, axis=1)
        places[number] = each.argmin()
        distances[number] = each[places[number]]
    return places, distances


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
