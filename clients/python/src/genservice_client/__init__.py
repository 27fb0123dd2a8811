"""The Python SDK of genservice: streams samples, classifies, scores and embeds over gRPC."""

from genservice_client.admin import AdminClient, AsyncAdminClient
from genservice_client.async_client import AsyncClient
from genservice_client.classification import Classification, Score, ScoreKind
from genservice_client.client import Client
from genservice_client.clock import Clock
from genservice_client.endpoint import Endpoint, KeepAlive, Limits, Tls
from genservice_client.errors import (
    AbortedError,
    AlreadyExistsError,
    CallerLimitError,
    CancelledError,
    ClientClosedError,
    DataLossError,
    DeadlineExceededError,
    DeadlineTooShortError,
    FailedPreconditionError,
    GenserviceClientError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    NumericsChangedError,
    OutOfRangeError,
    PermissionDeniedError,
    ProtocolError,
    QueueFullError,
    ResourceExhaustedError,
    StatusError,
    StreamChangedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from genservice_client.glimpses import SamplePreview, TextDelta
from genservice_client.models import ModelInfo, ModelState, VersionInfo
from genservice_client.retry import RetryPolicy
from genservice_client.samples import Determinism, SampleChunk, SampleHeader, Samples, SampleSummary
from genservice_client.stream import AsyncSampleStream
from genservice_client.sync_stream import SampleStream
from genservice_client.tensors import TensorSpec

__all__ = [
    "AbortedError",
    "AdminClient",
    "AlreadyExistsError",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncSampleStream",
    "CallerLimitError",
    "CancelledError",
    "Classification",
    "Client",
    "ClientClosedError",
    "Clock",
    "DataLossError",
    "DeadlineExceededError",
    "DeadlineTooShortError",
    "Determinism",
    "Endpoint",
    "FailedPreconditionError",
    "GenserviceClientError",
    "InternalError",
    "InvalidArgumentError",
    "KeepAlive",
    "Limits",
    "ModelInfo",
    "ModelState",
    "NotFoundError",
    "NumericsChangedError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ProtocolError",
    "QueueFullError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SampleChunk",
    "SampleHeader",
    "SamplePreview",
    "SampleStream",
    "SampleSummary",
    "Samples",
    "Score",
    "ScoreKind",
    "StatusError",
    "StreamChangedError",
    "TensorSpec",
    "TextDelta",
    "Tls",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "VersionInfo",
]
