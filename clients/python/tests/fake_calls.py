"""What the services of a fake share: calls that are remembered, and that fail where a test says so."""

import dataclasses
import threading
from collections import defaultdict, deque
from dataclasses import dataclass

import grpc
import numpy as np
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from genservice.v1 import types_pb2

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


class FakeCalls:
    """`failures` holds the Cuts of the next calls of a method, by its name."""

    def __init__(self):
        super().__init__()
        self.failures = defaultdict(deque)
        self.requests = defaultdict(list)
        self.metadata = []
        self.cancelled = threading.Event()

    def _begin(self, method, request, context):
        self.requests[method].append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failures[method]:
            self.failures[method].popleft().end(context)
