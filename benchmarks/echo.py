"""The floor: grpc.aio with uvloop, protobuf decoded and encoded, no model, no interceptors."""

import asyncio
import sys

import grpc
import numpy as np
import uvloop

from genservice.v1 import classification_pb2, classification_pb2_grpc, types_pb2

PROBABILITIES = np.full((1, 10), 0.1, np.float32)


class Echo(classification_pb2_grpc.ClassificationServiceServicer):
    """Answers without looking."""

    async def Classify(self, request, context):  # noqa: N802 - gRPC's name
        """Decodes the row and gives ten numbers."""
        np.frombuffer(request.inputs.tensor.data, np.float32)
        return classification_pb2.ClassifyResponse(
            model="models/fashion-logistic/versions/1",
            probabilities=types_pb2.Tensor(
                data_type=types_pb2.DATA_TYPE_FLOAT32, shape=PROBABILITIES.shape, data=PROBABILITIES.tobytes()
            ),
        )


async def main() -> None:
    """Serves until it is terminated."""
    server = grpc.aio.server()
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", file=sys.stderr, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
