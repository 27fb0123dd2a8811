"""The floor: what gRPC costs in Python. grpc.aio with uvloop, protobuf decoded and encoded; no model, nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import uvloop

from genservice.v1 import classification_pb2, classification_pb2_grpc, generation_pb2, generation_pb2_grpc, types_pb2

PROBABILITIES = np.full((1, 10), 0.1, np.float32)


class Echo(classification_pb2_grpc.ClassificationServiceServicer):
    """Answers without looking."""

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Decodes the row and gives ten numbers."""
        np.frombuffer(request.inputs.tensor.data, np.float32)
        return classification_pb2.ClassifyResponse(
            model="models/fashion-logistic/versions/1", probabilities=_tensor(PROBABILITIES)
        )


class Stream(generation_pb2_grpc.GenerationServiceServicer):
    """Streams zeros, in the messages of a sample stream."""

    async def Sample(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - gRPC's name
        """Gives `sample_count` rows of `options["row_floats"]` numbers, in chunks of `chunk_rows`."""
        row_floats = request.options["row_floats"].int64_value
        spec = types_pb2.TensorSpec(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=[row_floats])
        yield generation_pb2.SampleResponse(
            header=generation_pb2.SampleHeader(
                model="models/floor/versions/1",
                content_hash="0" * 64,
                seed=request.seed,
                sample_spec=spec,
                determinism=types_pb2.DETERMINISM_SAME_DRAWS,
            )
        )
        rows = np.zeros((request.chunk_rows, row_floats), np.float32)
        for start in range(0, request.sample_count, request.chunk_rows):
            end = min(start + request.chunk_rows, request.sample_count)
            index_range = types_pb2.IndexRange(start=request.first_index + start, end=request.first_index + end)
            chunk = generation_pb2.SampleChunk(indexes=[index_range], tensor=_tensor(rows[: end - start]))
            yield generation_pb2.SampleResponse(chunk=chunk)
        yield generation_pb2.SampleResponse(summary=generation_pb2.SampleSummary(sample_count=request.sample_count))


def _tensor(array: Any) -> types_pb2.Tensor:
    return types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=array.shape, data=array.tobytes())


async def main() -> None:
    """Serves until it is terminated."""
    server = grpc.aio.server()
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(Echo(), server)
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(Stream(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
