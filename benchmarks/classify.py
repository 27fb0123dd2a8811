"""The call that the unary figures make: Classify, one row of 784 floats."""

import grpc
import numpy as np

from benchmarks.h2load import Call
from genservice.v1 import classification_pb2, classification_pb2_grpc, types_pb2
from genservice_client import Client

MODEL = "fashion-logistic"
METHOD = "/genservice.v1.ClassificationService/Classify"
ROW = np.random.default_rng(0).uniform(-1, 1, (1, 28, 28, 1)).astype(np.float32)


def classify_call(address: str) -> Call:
    """Asks once, and so knows how long the answer is.

    Args:
        address: Of a server of ours, or of the floor.
    """
    tensor = types_pb2.Tensor(data_type=types_pb2.DATA_TYPE_FLOAT32, shape=ROW.shape, data=ROW.tobytes())
    request = classification_pb2.ClassifyRequest(model=f"models/{MODEL}", inputs=types_pb2.Condition(tensor=tensor))
    with grpc.insecure_channel(address) as channel:
        response = classification_pb2_grpc.ClassificationServiceStub(channel).Classify(request, timeout=60)
    return Call(address, METHOD, request.SerializeToString(), response.ByteSize())


def probabilities(address: str) -> np.ndarray:
    """What a server of ours says about the row, float32 `[10]`."""
    with Client(address) as client:
        return client.classify(MODEL, ROW).probabilities[0]
