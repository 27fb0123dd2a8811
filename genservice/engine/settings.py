"""Settings of the engine."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class EngineSettings(BaseModel):
    """What the engine holds, and how it runs models."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_held_bytes: int = Field(default=512 << 20, gt=0)
    """Most bytes of inputs, and of results ahead of their readers, over all requests; what needs more is refused."""
    max_caller_bytes: int = Field(default=256 << 20, gt=0)
    """Most of these bytes that one caller holds; it never holds more than stay free for others."""
    max_caller_rows: int = Field(default=8192, gt=0)
    """Most rows of one caller that wait for one version; they are never more than there is room for others. So one
    caller has at most half of the version's `max_queue_rows`, two that ask for much have a third each."""
    chunk_bytes: int = Field(default=1 << 19, ge=1024)
    """Bytes of samples in a chunk, about, where the request does not say how many rows."""
    max_chunk_bytes: int = Field(default=3 << 20, ge=1024)
    """Most bytes of samples in a chunk; gRPC clients receive 4 MiB unless they are told otherwise."""
    max_queue_s: float = Field(default=60, ge=0)
    """Seconds that a row may wait for a batch or a slot; then its request is refused. 0: no limit."""
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
    gpu_memory_limit_mb: int = Field(default=0, ge=0)
    """Most memory of its GPU that a worker process takes; 0: what it needs, as it grows."""
    heartbeat_s: float = Field(default=1, gt=0)
    """Seconds between two signs of life of a worker process."""
    silence_limit_s: float = Field(default=10, gt=0)
    """Seconds after which a worker process that gives no sign of life is killed."""
    call_limit_s: float = Field(default=60, gt=0)
    """Most seconds of one call of a model in a worker process; one that runs longer is killed with its process."""
    load_limit_s: float = Field(default=600, gt=0)
    """The same for starting, for loading and for each step of the warm-up, where models are compiled."""
    workers: tuple[str, ...] = ()
    """Where models run, one worker an entry: `CPU:0` for a process on the CPU, `GPU:0` for one that has the first GPU,
    `inline` for a thread of the server. `["CPU:0", "CPU:0"]` starts two processes that share the queues. Empty: a
    process for each GPU, or one on the CPU where there is none."""
    placement: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """By model: names of the workers that serve it, as `/metrics` names them: `CPU:0`, and `CPU:0#2` for the second of
    that device. Models that are not named are served by all."""
    max_image_bytes: int = Field(default=4 << 20, gt=0)
    """Most bytes of one image file among the inputs of a request."""
    trust_graphs: bool = False
    """Whether versions are loaded that hold a graph of their maker's own, such as a SavedModel: it can read and write
    files. Even then graphs with operations for files, for Python functions or of libraries of their own are refused."""
    max_growth_bytes: int = Field(default=512 << 20, gt=0)
    """Most memory that loading and unloading may leave behind in a worker process, before another takes its place."""
    models: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """By model: what replaces the `[serving]` part of its versions, such as `max_batch_rows`."""
    required_models: tuple[str, ...] = ()
    """Models without which the service does not become ready."""
