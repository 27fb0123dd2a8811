"""A service whose every step a test can script, on a real socket; and both kinds of client, behind one face."""

import asyncio
import dataclasses
import inspect
import threading
from collections import defaultdict, deque
from concurrent import futures
from dataclasses import dataclass
from itertools import islice

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

import genservice_client
from genservice.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    classification_pb2,
    classification_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    types_pb2,
)

PINNED = "models/digits/versions/3"
LABELS = ("zero", "one", "two")


@dataclass
class Cut:
    """A call that ends with a status."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    message: str = "scripted"
    retry_after_s: float | None = None
    reason: str = ""
    field: str = ""
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    def end(self, context):
        details = []
        if self.reason:
            info = {"a": "b"} | self.metadata
            details.append(error_details_pb2.ErrorInfo(reason=self.reason, domain="genservice", metadata=info))
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description="is wrong")
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        if self.retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(round(self.retry_after_s * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        if details:
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.message)


def tensor(array):
    array = np.asarray(array)
    data_type = {
        "float32": types_pb2.DATA_TYPE_FLOAT32,
        "uint8": types_pb2.DATA_TYPE_UINT8,
        "int64": types_pb2.DATA_TYPE_INT64,
    }[str(array.dtype)]
    return types_pb2.Tensor(data_type=data_type, shape=array.shape, data=array.tobytes())


def array(message):
    dtype = {types_pb2.DATA_TYPE_FLOAT32: np.float32, types_pb2.DATA_TYPE_UINT8: np.uint8}[message.data_type]
    return np.frombuffer(message.data, dtype).reshape(tuple(message.shape))


class FakeService(
    generation_pb2_grpc.GenerationServiceServicer,
    classification_pb2_grpc.ClassificationServiceServicer,
    models_pb2_grpc.ModelServiceServicer,
    admin_pb2_grpc.ModelAdminServiceServicer,
):
    """Sample i is `[i, seed % 1000, offset]`, offset being the condition of that name.

    `streams` holds what the next calls of Sample do: a list of steps, each "header", "summary", "hang", a range
    (start, end) to send as a chunk, "half" (the first half of what is asked for), "rest" (the other), a message, a
    Cut, or, where there is a filter, how many more chunks to look through. A call without a script does the steps of
    `always`, else it is answered in full. `changes` are made in headers. A filter lets every third index pass.
    Before each step of a call, `before_step` is called with the request and the step.
    `failures` holds the Cuts of the next calls of a method, by its name.
    """

    def __init__(self):
        self.streams = deque()
        self.always = None
        self.changes = {}
        self.before_step = lambda request, step: None
        self.failures = defaultdict(deque)
        self.requests = defaultdict(list)
        self.metadata = []
        self.cancelled = threading.Event()
        self.content_hash = "abc"
        self.labels = LABELS
        self.versions = None

    def header(self, request, **changes):
        fields = {
            "model": PINNED,
            "content_hash": "abc",
            "seed": request.seed,
            "sample_spec": types_pb2.TensorSpec(
                data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[3], minimum=0.0, maximum=255.0
            ),
            "determinism": types_pb2.DETERMINISM_BITWISE,
            "numerics": "cpu",
        } | (self.changes | changes)
        return generation_pb2.SampleResponse(header=generation_pb2.SampleHeader(**fields))

    def chunk(self, request, *ranges):
        rows = []
        for start, end in ranges:
            for index in range(start, end):
                offset = 0.0
                if "offset" in request.conditions:
                    offsets = array(request.conditions["offset"].tensor)
                    offset = offsets[0] if len(offsets) == 1 else offsets[index - request.first_index]
                rows.append([index, request.seed % 1000, offset])
        message = generation_pb2.SampleChunk(
            indexes=[types_pb2.IndexRange(start=start, end=end) for start, end in ranges]
        )
        if request.output.media_type == "text/plain":
            message.text.rows.extend(f"sample {int(row[0])}" for row in rows)
        elif request.output.media_type:
            message.encoded.media_type = request.output.media_type
            message.encoded.rows.extend(b"file %d" % int(row[0]) for row in rows)
        else:
            message.tensor.CopyFrom(tensor(np.array(rows, np.float32)))
        return generation_pb2.SampleResponse(chunk=message)

    def Sample(self, request, context):
        self.requests["Sample"].append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        steps = self.streams.popleft() if self.streams else (self.always or self._whole(request))
        if "hang" in steps:
            context.add_callback(self.cancelled.set)
        looked_at = self._filtered(request)
        for step in steps:
            self.before_step(request, step)
            if isinstance(step, int):
                for found in islice(looked_at, step):
                    if isinstance(found, Cut):
                        found.end(context)
                    yield found
                continue
            if step == "hang":
                self.cancelled.wait(10)
                return
            if isinstance(step, Cut):
                step.end(context)
            yield self._response(request, step)

    def _response(self, request, step):
        end = request.first_index + request.sample_count
        half = request.first_index + request.sample_count // 2
        match step:
            case "header":
                return self.header(request)
            case "half":
                return self.chunk(request, (request.first_index, half))
            case "rest":
                return self.chunk(request, (half, end))
            case "summary":
                return generation_pb2.SampleResponse(summary=generation_pb2.SampleSummary())
            case (int(start), int(end)):
                return self.chunk(request, (start, end))
            case _:
                return step(request)

    def _filtered(self, request):
        """Looks through chunks of 4 samples, until enough have passed; the last is left where enough have."""
        first, kept, end = request.first_index, 0, request.first_index + request.filter.max_draws
        for start in range(first, end, 4):
            passed = [index for index in range(start, min(start + 4, end)) if index % 3 == 0]
            passed = passed[: request.sample_count - kept]
            kept += len(passed)
            enough = kept == request.sample_count
            response = self.chunk(request, *((index, index + 1) for index in passed))
            response.chunk.next_index = passed[-1] + 1 if enough else min(start + 4, end)
            yield response
            if enough:
                return
        facts = {"sample_count": str(kept), "draw_count": str(end - first), "next_index": str(end)}
        yield Cut(grpc.StatusCode.OUT_OF_RANGE, "no more draws", reason="DRAWS_EXHAUSTED", metadata=facts)

    def _whole(self, request):
        if request.HasField("filter"):
            return ["header", 10**6, "summary"]
        end = request.first_index + request.sample_count
        step = request.chunk_rows or 4
        chunks = [(start, min(end, start + step)) for start in range(request.first_index, end, step)]
        return ["header", *chunks, "summary"]

    def _begin(self, method, request, context):
        self.requests[method].append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failures[method]:
            self.failures[method].popleft().end(context)

    def _classify(self, request):
        row_count = request.inputs.tensor.shape[0] if request.inputs.HasField("tensor") else 2
        row_count = len(request.inputs.encoded.rows) or row_count
        values = (
            array(request.inputs.tensor) if request.inputs.HasField("tensor") else np.zeros((row_count, 1), np.float32)
        )
        best = values.reshape(row_count, -1)[:, 0].astype(int) % 3
        probabilities = np.full((row_count, 3), 0.1, np.float32)
        probabilities[np.arange(row_count), best] = 0.8
        response = classification_pb2.ClassifyResponse(model=PINNED, probabilities=tensor(probabilities))
        if request.top_k:
            for column in best:
                scored = classification_pb2.ScoredLabel(label=LABELS[column], index=column, probability=0.8)
                response.top.append(classification_pb2.TopLabels(labels=[scored]))
        return response

    def Classify(self, request, context):
        self._begin("Classify", request, context)
        return self._classify(request)

    def StreamClassify(self, request_iterator, context):
        self._begin("StreamClassify", None, context)
        for place, request in enumerate(request_iterator):
            if place and self.failures["StreamClassify"]:
                self.failures["StreamClassify"].popleft().end(context)
            self.requests["streamed"].append(request)
            yield classification_pb2.StreamClassifyResponse(response=self._classify(request.request))

    def Score(self, request, context):
        self._begin("Score", request, context)
        if request.sequences:
            log_prob = np.array([-len(labelling.rows) for labelling in request.labellings], np.float32)
        else:
            values = array(request.inputs.tensor)
            log_prob = -values.reshape(len(values), -1).sum(axis=1)
        return generation_pb2.ScoreResponse(
            model=PINNED, log_prob=tensor(log_prob), kind=generation_pb2.SCORE_KIND_LOWER_BOUND
        )

    def Embed(self, request, context):
        self._begin("Embed", request, context)
        return classification_pb2.EmbedResponse(model=PINNED, embeddings=tensor(self.embedded(request.inputs)))

    def embedded(self, inputs):
        """Numbers are their own embeddings; a file's is its last byte."""
        if inputs.HasField("encoded"):
            return np.array([[file[-1]] for file in inputs.encoded.rows], np.float32)
        return array(inputs.tensor)

    def Compare(self, request, context):
        self._begin("Compare", request, context)
        gaps = self.embedded(request.inputs) - self.embedded(request.others)
        distances = np.linalg.norm(gaps, axis=1).astype(np.float32)
        return classification_pb2.CompareResponse(model=PINNED, distances=tensor(distances), threshold=1.5)

    def Identify(self, request, context):
        self._begin("Identify", request, context)
        gaps = self.embedded(request.inputs)[:, None] - array(request.gallery)
        distances = np.linalg.norm(gaps, axis=2).astype(np.float32)
        names = [request.names[row.argmin()] if row.min() < 1.5 else "" for row in distances]
        return classification_pb2.IdentifyResponse(
            model=PINNED, names=names, distances=tensor(distances.min(axis=1)), threshold=1.5
        )

    def Neighbours(self, request, context):
        self._begin("Neighbours", request, context)
        indexes = np.arange(request.k) + array(request.inputs.tensor).astype(np.int64)
        distances = np.tile(np.arange(request.k, dtype=np.float32), (len(indexes), 1))
        return classification_pb2.NeighboursResponse(model=PINNED, indexes=tensor(indexes), distances=tensor(distances))

    def Tag(self, request, context):
        self._begin("Tag", request, context)
        response = classification_pb2.TagResponse(model=PINNED)
        for sequence in request.sequences:
            tokens = list(sequence.tokens.rows) or array(sequence.tensor)[:, 0].astype(int).astype(str)
            columns = [len(str(token)) % 3 for token in tokens]
            marginals = np.full((len(tokens), 3), 0.2, np.float32)
            marginals[np.arange(len(tokens)), columns] = 0.6
            labels = [LABELS[column] for column in columns]
            response.taggings.add(labels=labels, marginals=tensor(marginals))
        return response

    def Predict(self, request, context):
        self._begin("Predict", request, context)
        outputs = {f"{name}_doubled": tensor(2 * array(values)) for name, values in request.inputs.items()}
        return classification_pb2.PredictResponse(model=PINNED, outputs=outputs)

    def Encode(self, request, context):
        self._begin("Encode", request, context)
        return generation_pb2.EncodeResponse(model=PINNED, latents=request.inputs.tensor)

    def Decode(self, request, context):
        self._begin("Decode", request, context)
        return generation_pb2.DecodeResponse(model=PINNED, samples=request.latents)

    def Interpolate(self, request, context):
        raise NotImplementedError

    def model(self, name="models/digits", state=models_pb2.MODEL_STATE_READY):
        event = types_pb2.TensorSpec(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[3], minimum=-1, maximum=1)
        version = models_pb2.ModelVersion(
            name=PINNED,
            state=state,
            content_hash=self.content_hash,
            family="gan",
            verbs=["sample"],
            options_schema='{"type": "object"}',
            event=event,
            conditions={"prompt": types_pb2.TensorSpec(optional=True)},
            labels=self.labels,
            media_types=["image/png"],
            determinism=types_pb2.DETERMINISM_SAME_DRAWS,
            batch_sizes=[1, 8],
            card="# Digits",
            rows_per_second={"sample": 1500.0},
            features=["preview"],
            positions=40,
            reference_rows=100,
            threshold=1.5,
            signatures={"serve": models_pb2.SignatureSpec(inputs={"x": event}, outputs={"y": event})},
            default_signature="serve",
        )
        return models_pb2.Model(name=name, versions=[version], labels={"stable": 3}, default_version=3)

    def ListModels(self, request, context):
        self._begin("ListModels", request, context)
        if not request.page_token:
            return models_pb2.ListModelsResponse(models=[self.model("models/a")], next_page_token="2")
        return models_pb2.ListModelsResponse(models=[self.model("models/b")])

    def GetModel(self, request, context):
        self._begin("GetModel", request, context)
        model = self.model()
        if self.versions is not None:
            model = models_pb2.Model(name=model.name, versions=self.versions)
        return models_pb2.GetModelResponse(model=model)

    def WatchModel(self, request, context):
        self._begin("WatchModel", request, context)
        if len(self.requests["WatchModel"]) == 1:
            yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_LOADING))
            Cut().end(context)
        context.add_callback(self.cancelled.set)
        yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_LOADING))
        yield models_pb2.WatchModelResponse(model=self.model(state=models_pb2.MODEL_STATE_READY))
        self.cancelled.wait(10)

    def LoadModel(self, request, context):
        self._begin("LoadModel", request, context)
        return admin_pb2.LoadModelResponse(version=self.model(state=models_pb2.MODEL_STATE_LOADING).versions[0])

    def UnloadModel(self, request, context):
        self._begin("UnloadModel", request, context)
        return admin_pb2.UnloadModelResponse(version=self.model(state=models_pb2.MODEL_STATE_DRAINING).versions[0])

    def SetLabel(self, request, context):
        self._begin("SetLabel", request, context)
        return admin_pb2.SetLabelResponse(model=self.model())


@dataclass
class RunningService:
    service: FakeService
    server: grpc.Server
    target: str


def start(credentials=None, address="127.0.0.1:0"):
    server = grpc.server(futures.ThreadPoolExecutor(8))
    service = FakeService()
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(service, server)
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(service, server)
    models_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    admin_pb2_grpc.add_ModelAdminServiceServicer_to_server(service, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return RunningService(service, server, f"{address.rpartition(':')[0]}:{port}")


class FakeClock(genservice_client.Clock):
    """Time passes only in sleeps, and they take none."""

    def __init__(self):
        self.time = 0.0
        self.sleeps = []

    def now(self):
        return self.time

    def random(self):
        return 0.0

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.time += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Side:
    """One kind of client: `await` what it returns through `call`, and iterate through `collect`."""

    def __init__(self, kind):
        self.kind = kind
        self.clock = FakeClock()
        self._clients = []

    def client(self, target, **settings):
        client_class = {"sync": genservice_client.Client, "async": genservice_client.AsyncClient}[self.kind]
        return self._opened(client_class(target, **{"clock": self.clock} | settings))

    def admin(self, target, **settings):
        client_class = {"sync": genservice_client.AdminClient, "async": genservice_client.AsyncAdminClient}[self.kind]
        return self._opened(client_class(target, **{"clock": self.clock} | settings))

    async def call(self, result):
        return await result if inspect.isawaitable(result) else result

    async def collect(self, iterable, limit=None):
        items = []
        if hasattr(iterable, "__aiter__"):
            async for item in iterable:
                items.append(item)
                if len(items) == limit:
                    break
        else:
            for item in iterable:
                items.append(item)
                if len(items) == limit:
                    break
        return items

    async def close(self):
        for client in self._clients:
            await self.call(client.close())

    def _opened(self, client):
        self._clients.append(client)
        return client


@pytest.fixture
def running():
    running = start()
    yield running
    running.service.cancelled.set()
    running.server.stop(0).wait()


@pytest.fixture
def service(running):
    return running.service


@pytest.fixture
def another_service():
    """Starts further services."""
    started = []

    def begin(credentials=None, address="127.0.0.1:0"):
        started.append(start(credentials, address))
        return started[-1]

    yield begin
    for running in started:
        running.service.cancelled.set()
        running.server.stop(0).wait()


@pytest.fixture(params=["sync", "async"])
async def side(request):
    side = Side(request.param)
    yield side
    await side.close()
    await asyncio.sleep(0)


@pytest.fixture
def client(side, running):
    return side.client(running.target)


@pytest.fixture
def clock(side):
    return side.clock


@pytest.fixture
def cut():
    """How a scripted call ends."""
    return Cut
