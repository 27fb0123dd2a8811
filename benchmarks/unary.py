"""Unary requests of one row, many in flight, from one asynchronous client."""

import asyncio
import time

import grpc
import numpy as np
import uvloop

from genservice.v1 import classification_pb2, classification_pb2_grpc, types_pb2

ROW = np.random.default_rng(0).uniform(-1, 1, (1, 28, 28, 1)).astype(np.float32)


def requests_a_second(address: str, *, in_flight: int, count: int) -> float:
    """Sends `count` requests, `in_flight` at a time, and gives the rate."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_rate(address, in_flight, count))


async def _rate(address: str, in_flight: int, count: int) -> float:
    tensor = types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=ROW.shape, data=ROW.tobytes())
    request = classification_pb2.ClassifyRequest(
        model="models/fashion-logistic", inputs=types_pb2.Condition(tensor=tensor)
    )
    async with grpc.aio.insecure_channel(address) as channel:
        stub = classification_pb2_grpc.ClassificationServiceStub(channel)
        await stub.Classify(request)

        async def client() -> None:
            for _ in range(count // in_flight):
                await stub.Classify(request)

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(in_flight)))
        return count / (time.perf_counter() - started)
