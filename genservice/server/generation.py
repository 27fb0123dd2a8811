"""GenerationService: draws samples, and evaluates and inverts generative models."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from time import perf_counter
from typing import Any

from genservice.engine.aside import aside
from genservice.engine.call import RowPreview, Rows, RowText
from genservice.engine.cascade import Kept, cascade
from genservice.engine.catalog import Version
from genservice.engine.engine import Draw, Engine
from genservice.engine.sequences import pad_labellings
from genservice.engine.submission import Event
from genservice.engine.validation import check_verb
from genservice.errors import InvalidRequest
from genservice.model.base import Tagger
from genservice.server import convert
from genservice.server.caller import flow_of
from genservice.server.calls import Context, field_named, padded, run, run_on
from genservice.server.rpc import note
from genservice.store.names import ModelName
from genservice.telemetry.metrics import Metrics
from genservice.v1 import generation_pb2 as pb
from genservice.v1.generation_pb2_grpc import GenerationServiceServicer

LABEL_BYTES = 128
"""Bytes of an array that are looked at in the time in which a label's place is found."""


class GenerationService(GenerationServiceServicer):
    """The service over an engine.

    Args:
        engine: Does the work.
        metrics: Counts.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    async def Sample(self, request: pb.SampleRequest, context: Context) -> AsyncGenerator[Any, None]:  # noqa: N802
        """Streams a header, samples that are made as the client reads, and a summary; the samples serialized."""
        started = perf_counter()
        name, asked = ModelName.parse(request.model), _asked(request)
        if request.HasField("filter"):
            async with aclosing(self._kept(name, request, context, asked)) as responses:
                async for each in responses:
                    yield each
            return
        draw = self._engine.sample(name, timeout_s=context.time_remaining(), flow=flow_of(context), **asked)
        try:
            yield _header(draw)
            pace = self._metrics.pace(draw.version.model, draw.version.number)
            async with aclosing(draw.events()) as events:
                async for event in events:
                    pace.told()
                    response = _response(draw, event)
                    # A slow reader holds one form of a chunk, and none while the next one is made.
                    del event
                    yield response
                    del response
            pace.ended()
            elapsed = perf_counter() - started
            yield pb.SampleResponse(
                summary=pb.SampleSummary(sample_count=request.sample_count, elapsed_seconds=elapsed)
            )
        finally:
            # A generator that was never begun does not end its submission by being closed.
            draw.submission.cancel()

    async def _kept(
        self, name: ModelName, request: pb.SampleRequest, context: Context, asked: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Streams a header, samples that pass the request's filter, and a summary."""
        for field in ("order", "preview_steps", "text_deltas"):
            if getattr(request, field):
                raise InvalidRequest(f"`{field}` cannot be had together with `filter`.", field=field)
        started = perf_counter()
        rule, flow = convert.rule(request.filter), flow_of(context)
        with cascade(self._engine, name, rule, flow=flow, remaining_s=context.time_remaining, **asked) as admitted:
            draw = admitted.draw
            yield _header(draw, admitted.classifier)
            pace = self._metrics.pace(draw.version.model, draw.version.number)
            draw_count = 0
            async with aclosing(admitted.kept()) as steps:
                async for kept in steps:
                    pace.told()
                    draw_count = kept.draw_count
                    response = _kept_response(draw, kept)
                    # As of all samples, a slow reader holds one form of them.
                    del kept
                    yield response
                    del response
            pace.ended()
            summary = pb.SampleSummary(
                sample_count=request.sample_count, elapsed_seconds=perf_counter() - started, draw_count=draw_count
            )
            yield pb.SampleResponse(summary=summary)

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:  # noqa: N802
        """Gives log p(x), or log p(labelling | sequence)."""
        with self._engine.using(ModelName.parse(request.model), "score") as version:
            model: Any = version.description
            labelled = isinstance(model, Tagger)
            inputs = await self._labelled(request, version, context) if labelled else _scored(request)
            with field_named("inputs", "sequences" if labelled else "inputs"):
                results = await run_on(self._engine, version, request, context, "score", inputs)
        kind = pb.ScoreKind.Value(f"SCORE_KIND_{model.score_kind}")
        return pb.ScoreResponse(model=str(version.name), log_prob=convert.tensor(results["log_prob"]), kind=kind)

    async def Encode(self, request: pb.EncodeRequest, context: Context) -> pb.EncodeResponse:  # noqa: N802
        """Maps inputs to latents."""
        inputs = {"inputs": convert.rows(request.inputs, "inputs")}
        version, latents = await run(self._engine, request, context, "encode", inputs)
        return pb.EncodeResponse(model=str(version.name), latents=convert.tensor(latents))

    async def Decode(self, request: pb.DecodeRequest, context: Context) -> pb.DecodeResponse:  # noqa: N802
        """Maps latents to samples."""
        if not request.HasField("latents"):
            raise InvalidRequest("`latents` is missing.", field="latents")
        inputs = {"inputs": convert.tensor_rows(request.latents, "latents")}
        with field_named("inputs", "latents"):
            version, samples = await run(self._engine, request, context, "decode", inputs)
        return pb.DecodeResponse(model=str(version.name), samples=convert.tensor(samples))

    async def Interpolate(  # noqa: N802
        self, request: pb.InterpolateRequest, context: Context
    ) -> AsyncGenerator[pb.InterpolateResponse, None]:
        """Is not served yet: no model has this verb."""
        check_verb(self._engine.catalog.ready(ModelName.parse(request.model)), "interpolate")
        yield pb.InterpolateResponse()  # never reached: it makes this a stream

    async def _labelled(self, request: pb.ScoreRequest, version: Version, context: Context) -> dict[str, Rows]:
        """Reads sequences and their labellings."""
        if request.HasField("inputs"):
            raise InvalidRequest("The model scores the `labellings` of `sequences`, not `inputs`.", field="inputs")
        inputs = await padded(self._engine, version, "score", request.sequences, context)
        labellings = [list(each.rows) for each in request.labellings]
        work = LABEL_BYTES * sum(map(len, labellings))
        labels = await aside(work, pad_labellings, version.description, labellings, inputs["lengths"])
        return {**inputs, "labels": labels}


def _asked(request: pb.SampleRequest) -> dict[str, Any]:
    """What a request asks of the draw, as `Engine.sample` takes it."""
    return {
        "sample_count": request.sample_count,
        "first_index": request.first_index,
        "seed": request.seed if request.HasField("seed") else None,
        "options": convert.options(request.options),
        "conditions": convert.conditions(request.conditions),
        "output": convert.output(request.output),
        "chunk_rows": request.chunk_rows,
        "content_hash": request.content_hash,
        "as_ready": convert.as_ready(request.order),
        "preview_steps": request.preview_steps,
        "text_deltas": request.text_deltas,
    }


def _scored(request: pb.ScoreRequest) -> dict[str, Rows]:
    if request.sequences or request.labellings:
        raise InvalidRequest("The model scores `inputs`; it labels no sequences.", field="sequences")
    return {"inputs": convert.rows(request.inputs, "inputs")}


def _kept_response(draw: Draw, kept: Kept) -> bytes:
    """What passed of a draw, serialized."""
    call = draw.submission.call
    next_index = call.first_index + kept.draw_count
    note(str(draw.version.name), len(kept.chunk) if kept.chunk is not None else 0, next_index)
    return convert.progress(next_index) if kept.chunk is None else convert.chunk(call, kept.chunk, next_index)


def _response(draw: Draw, event: Event) -> bytes:
    """What happened to a draw, serialized."""
    call = draw.submission.call
    match event:
        case RowPreview():
            return convert.preview(call, event).SerializeToString()
        case RowText():
            return convert.text_delta(call, event).SerializeToString()
    # Samples that come as they are ready leave gaps, of which the client knows.
    next_index = None if draw.as_ready else call.first_index + draw.submission.read_rows
    note(str(draw.version.name), len(event), next_index)
    return convert.chunk(call, event)


def _header(draw: Draw, classifier: Version | None = None) -> pb.SampleResponse:
    version = draw.version
    response = pb.SampleResponse()
    response.header.model = str(version.name)
    response.header.content_hash = version.content_hash
    response.header.seed = draw.seed
    response.header.determinism = convert.determinism(version)
    response.header.numerics = version.numerics
    if classifier is not None:
        response.header.classifier = str(classifier.name)
    assert version.description is not None
    convert.spec(version.description.event, response.header.sample_spec)
    return response
