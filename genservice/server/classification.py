"""ClassificationService: classifies, embeds, compares and labels."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.aside import aside, work_bytes_of
from genservice.engine.call import Rows
from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.engine.verbs import prediction
from genservice.errors import GenserviceError, InvalidRequest, OutOfRange
from genservice.server import convert
from genservice.server.calls import Context, field_named, padded, run, run_on
from genservice.server.gallery import HELD_FORMS, gallery_of, nearest
from genservice.server.in_order import answers_in_order
from genservice.store.names import ModelName
from genservice.v1 import classification_pb2 as pb
from genservice.v1.classification_pb2_grpc import ClassificationServiceServicer

SORT_WORK = 4
"""How much more work than a look at numbers their sorting is."""
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
        inputs = {"inputs": convert.rows(request.inputs, "inputs")}
        with self._engine.using(ModelName.parse(request.model), "classify") as version:
            _check_top_k(request.top_k, version)
            results = await run_on(self._engine, version, request, context, "classify", inputs)
        probabilities = results["probabilities"].astype(np.float32, copy=False)
        response = pb.ClassifyResponse(model=str(version.name), probabilities=convert.tensor(probabilities))
        if request.top_k:
            # Sorting is the work of more than one look.
            top = await aside(SORT_WORK * probabilities.nbytes, _top, version, probabilities, request.top_k)
            response.top.extend(top)
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
        with self._engine.using(ModelName.parse(request.model), "compare") as version:
            model: Any = version.description
            inputs, others = convert.rows(request.inputs, "inputs"), convert.rows(request.others, "others")
            if len(inputs) != len(others):
                raise InvalidRequest(f"`others` has {len(others)} rows, and `inputs` {len(inputs)}.", field="others")
            left = await run_on(self._engine, version, request, context, "embed", {"inputs": inputs})
            with field_named("inputs", "others"):
                right = await run_on(self._engine, version, request, context, "embed", {"inputs": others})
        pair = left["embeddings"], right["embeddings"]
        distances = await aside(work_bytes_of(pair), _distances, *pair)
        return pb.CompareResponse(
            model=str(version.name), distances=convert.tensor(distances), threshold=model.threshold
        )

    async def Identify(self, request: pb.IdentifyRequest, context: Context) -> pb.IdentifyResponse:  # noqa: N802
        """Finds each input in a gallery."""
        with self._engine.using(ModelName.parse(request.model), "identify") as version:
            model: Any = version.description
            inputs = {"inputs": convert.rows(request.inputs, "inputs")}
            gallery = await aside(len(request.gallery.data), gallery_of, request)
            beside = HELD_FORMS * gallery.nbytes
            results = await run_on(self._engine, version, request, context, "embed", inputs, beside_bytes=beside)
        embeddings = results["embeddings"]
        if gallery.shape[1] != embeddings.shape[1]:
            raise InvalidRequest(
                f"`gallery` has entries of {gallery.shape[1]} dimensions, and {version.name} embeds in "
                f"{embeddings.shape[1]}.",
                field="gallery",
            )
        places, distances = await nearest(embeddings, gallery)
        found = zip(places.tolist(), distances.tolist(), strict=True)
        names = [request.names[place] if distance < model.threshold else "" for place, distance in found]
        return pb.IdentifyResponse(
            model=str(version.name), names=names, distances=convert.tensor(distances), threshold=model.threshold
        )

    async def Neighbours(self, request: pb.NeighboursRequest, context: Context) -> pb.NeighboursResponse:  # noqa: N802
        """Finds the nearest reference rows of each input."""
        with self._engine.using(ModelName.parse(request.model), "neighbours") as version:
            inputs = {"inputs": convert.rows(request.inputs, "inputs"), "k": np.array([request.k], np.int32)}
            results = await run_on(self._engine, version, request, context, "neighbours", inputs)
        return pb.NeighboursResponse(
            model=str(version.name),
            indexes=convert.tensor(results["indexes"].astype(np.int64, copy=False)),
            distances=convert.tensor(results["distances"].astype(np.float32, copy=False)),
        )

    async def Tag(self, request: pb.TagRequest, context: Context) -> pb.TagResponse:  # noqa: N802
        """Gives one label to each position of a sequence."""
        with self._engine.using(ModelName.parse(request.model), "tag") as version:
            inputs = await padded(self._engine, version, "tag", request.sequences, context)
            with field_named("inputs", "sequences"):
                results = await run_on(self._engine, version, request, context, "tag", inputs)
        marginals = results["marginals"]
        taggings = await aside(marginals.nbytes, _taggings, version, results["labels"], marginals, inputs["lengths"])
        return pb.TagResponse(model=str(version.name), taggings=taggings)

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802
        """Calls a signature of the model as it is."""
        with self._engine.using(ModelName.parse(request.model), "predict") as version:
            model: Any = version.description
            inputs: dict[str, Rows] = {
                key: convert.tensor_rows(message, f"inputs.{key}") for key, message in request.inputs.items()
            }
            function = prediction(request.signature or model.default_signature)
            results = await run_on(self._engine, version, request, context, function, inputs)
        return pb.PredictResponse(
            model=str(version.name), outputs={key: convert.tensor(column) for key, column in results.items()}
        )


def _check_top_k(top_k: int, version: Version) -> None:
    assert version.description is not None
    most = len(version.description.labels)
    if top_k < 0:
        raise InvalidRequest(f"`top_k` is 0 or greater; got {top_k}.", field="top_k")
    if top_k > most:
        raise OutOfRange(f"`top_k` is at most {most}, the number of labels; got {top_k}.", field="top_k")


def _distances(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float32]:
    """The Euclidean distance of each pair of rows."""
    distances: NDArray[np.float32] = np.linalg.norm(left - right, axis=1).astype(np.float32)
    return distances


def _taggings(
    version: Version, labels: NDArray[Any], marginals: NDArray[Any], lengths: NDArray[np.int32]
) -> list[pb.Tagging]:
    """What was found of each sequence, without its padding."""
    assert version.description is not None
    names = version.description.labels
    return [
        pb.Tagging(
            labels=[names[place] for place in labels[row, :length].tolist()],
            marginals=convert.tensor(marginals[row, :length].astype(np.float32, copy=False)),
        )
        for row, length in enumerate(lengths.tolist())
    ]


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
