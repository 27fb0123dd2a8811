"""Settings of the engine."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class EngineSettings(BaseModel):
    """What the engine holds, and how it runs models."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_held_bytes: int = Field(default=512 << 20, gt=0)
    """Most bytes of inputs, and of results ahead of their readers, over all requests; what needs more is refused."""
    chunk_bytes: int = Field(default=1 << 19, ge=1024)
    """Bytes of samples in a chunk, about, where the request does not say how many rows."""
    max_chunk_bytes: int = Field(default=3 << 20, ge=1024)
    """Most bytes of samples in a chunk; gRPC clients receive 4 MiB unless they are told otherwise."""
    max_sample_count: int = Field(default=1 << 40, gt=0)
    """Most samples in one request."""
    max_call_rows: int = Field(default=4096, gt=0)
    """Most rows in one request that is answered at once."""
    max_answer_bytes: int = Field(default=30 << 20, gt=0)
    """Most bytes in the answer to such a request; the server's `max_message_bytes` allows a little more."""
    unload_limit_s: float = Field(default=300, ge=0)
    """Seconds that a version which is unloaded has for what it has begun; then its streams go on elsewhere."""
    intra_op_threads: int = Field(default=0, ge=0)
    """Threads of one TensorFlow operation; 0: one a core."""
    encode_threads: int = Field(default=2, gt=0)
    """Threads that encode samples as media."""
    models: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """By model: what replaces the `[serving]` part of its versions, such as `max_batch_rows`."""
    required_models: tuple[str, ...] = ()
    """Models without which the service does not become ready."""
