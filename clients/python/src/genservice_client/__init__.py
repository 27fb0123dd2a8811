"""The Python SDK of genservice: streams samples, classifies, compares, tags and scores over gRPC."""

from genservice_client.admin import AdminClient, AsyncAdminClient
from genservice_client.async_client import AsyncClient
from genservice_client.classification import Classification, Score, ScoreKind
from genservice_client.client import Client
from genservice_client.clock import Clock
from genservice_client.comparison import Comparison, Identification, Neighbours
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
    DrawsExhaustedError,
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
from genservice_client.filtering import SampleFilter
from genservice_client.gallery import Gallery
from genservice_client.glimpses import SamplePreview, TextDelta
from genservice_client.model_gallery import AsyncModelGallery
from genservice_client.models import ModelInfo, ModelState, Signature, VersionInfo
from genservice_client.retry import RetryPolicy
from genservice_client.samples import Determinism, SampleChunk, SampleHeader, Samples, SampleSummary
from genservice_client.stream import AsyncSampleStream
from genservice_client.sync_gallery import ModelGallery
from genservice_client.sync_stream import SampleStream
from genservice_client.tagging import Tagging
from genservice_client.tensors import TensorSpec

__all__ = [
    "AbortedError",
    "AdminClient",
    "AlreadyExistsError",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncModelGallery",
    "AsyncSampleStream",
    "CallerLimitError",
    "CancelledError",
    "Classification",
    "Client",
    "ClientClosedError",
    "Clock",
    "Comparison",
    "DataLossError",
    "DeadlineExceededError",
    "DeadlineTooShortError",
    "Determinism",
    "DrawsExhaustedError",
    "Endpoint",
    "FailedPreconditionError",
    "Gallery",
    "GenserviceClientError",
    "Identification",
    "InternalError",
    "InvalidArgumentError",
    "KeepAlive",
    "Limits",
    "ModelGallery",
    "ModelInfo",
    "ModelState",
    "Neighbours",
    "NotFoundError",
    "NumericsChangedError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ProtocolError",
    "QueueFullError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SampleChunk",
    "SampleFilter",
    "SampleHeader",
    "SamplePreview",
    "SampleStream",
    "SampleSummary",
    "Samples",
    "Score",
    "ScoreKind",
    "Signature",
    "StatusError",
    "StreamChangedError",
    "Tagging",
    "TensorSpec",
    "TextDelta",
    "Tls",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "VersionInfo",
]
