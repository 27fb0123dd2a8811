"""Draws that a test can script step by step."""

from collections import deque
from itertools import islice

import grpc
import numpy as np

from clients.python.tests.fake_calls import PINNED, Cut, FakeCalls, array, tensor
from genservice.v1 import generation_pb2, generation_pb2_grpc, types_pb2


class FakeGeneration(FakeCalls, generation_pb2_grpc.GenerationServiceServicer):
    """Sample i is `[i, seed % 1000, offset]`, offset being the condition of that name.

    `streams` holds what the next calls of Sample do: a list of steps, each "header", "summary", "hang", a range
    (start, end) to send as a chunk, "half" (the first half of what is asked for), "rest" (the other), a message, a
    Cut, or, where there is a filter, how many more chunks to look through. A call without a script does the steps of
    `always`, else it is answered in full. `changes` are made in headers. A filter lets every third index pass; the
    version of its classifier is `classifier_version` where the request names none.
    Before each step of a call, `before_step` is called with the request and the step.
    """

    def __init__(self):
        super().__init__()
        self.streams = deque()
        self.always = None
        self.changes = {}
        self.before_step = lambda request, step: None
        self.classifier_version = 3

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
            "classifier": self._classifier(request),
        } | (self.changes | changes)
        return generation_pb2.SampleResponse(header=generation_pb2.SampleHeader(**fields))

    def _classifier(self, request):
        name = request.filter.classifier
        if not name or "/versions/" in name:
            return name
        return f"{name.partition('/labels/')[0]}/versions/{self.classifier_version}"

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

    def Encode(self, request, context):
        self._begin("Encode", request, context)
        return generation_pb2.EncodeResponse(model=PINNED, latents=request.inputs.tensor)

    def Decode(self, request, context):
        self._begin("Decode", request, context)
        return generation_pb2.DecodeResponse(model=PINNED, samples=request.latents)

    def Interpolate(self, request, context):
        raise NotImplementedError
