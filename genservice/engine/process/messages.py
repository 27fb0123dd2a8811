"""What server and worker say to each other."""

from collections.abc import Sequence
from typing import Any

import msgspec

from genservice.engine.process.rows import Column

Columns = list[tuple[str, Column]]
"""Rows by name."""


class _Message(msgspec.Struct, array_like=True, tag=True, gc=False):
    """Base: an array on the wire, named by its first element."""


class Failure(msgspec.Struct, array_like=True, gc=False):
    """An exception.

    Args:
        kind: Name of its class.
        known: Whether that is a class of `genservice.errors`.
        message: What it says.
        field: As in GenserviceError.
        metadata: As in GenserviceError.
        retry_after_s: As in GenserviceError.
        traceback: Where it was raised.
    """

    kind: str
    known: bool
    message: str
    field: str = ""
    metadata: dict[str, str] = {}
    retry_after_s: float | None = None
    traceback: str = ""


class Rows(msgspec.Struct, array_like=True, gc=False):
    """Rows of one request, or of several that differ in nothing but their inputs.

    Args:
        row_count: How many.
        options: MessagePack of the values in the order of their declaration.
        inputs: By name: one value a row, or one row that all share.
        seed: As in Call.
        first_index: Index of the first row's draw.
        dtype: As in Output.
        media_type: As in Output.
        with_event: As in Output.
        preview_steps: As in Call.
        text_deltas: As in Call.
    """

    row_count: int
    options: bytes
    inputs: Columns
    seed: int
    first_index: int
    dtype: str
    media_type: str
    with_event: bool
    preview_steps: int
    text_deltas: bool


# From the server, on the data channel.


class Start(_Message):
    """The first message: how the worker is set up.

    Args:
        settings: Those of EngineSettings that the worker heeds.
        device: Such as `CPU:0` or `GPU:1`.
    """

    settings: dict[str, Any]
    device: str


class Load(_Message):
    """Load a version.

    Args:
        call: Number of the call.
        replica: Number of the version in this worker.
        model: The model's class, `module:qualname`.
        config: Its config as TOML.
        directory: The version's folder.
        serving: How the engine runs it.
    """

    call: int
    replica: int
    model: str
    config: str
    directory: str
    serving: dict[str, Any]


class WarmUp(_Message):
    """Warm a version up."""

    call: int
    replica: int


class Unload(_Message):
    """Unload a version."""

    call: int
    replica: int


class Run(_Message):
    """Run a batch."""

    call: int
    replica: int
    verb: str
    batch: list[Rows]


class Draw(_Message):
    """Draw rows of an iterative model. Draws go in one lane: their numbers ascend."""

    call: int
    replica: int
    verb: str
    rows: Rows


Order = Start | Load | WarmUp | Unload | Run | Draw

# From the worker, on the data channel.


class Loaded(_Message):
    """A version is loaded."""

    call: int
    numerics: str


class Warm(_Message):
    """A version is warm."""

    call: int
    answer_row_bytes: dict[str, int]


class Unloaded(_Message):
    """A version is unloaded."""

    call: int


class Ran(_Message):
    """A batch has run.

    Args:
        call: Number of the call.
        results: Of each of its Rows; none of those that failed by their own fault.
        failures: Why those failed, by their places.
    """

    call: int
    results: list[Columns]
    failures: dict[int, Failure] = {}


class Failed(_Message):
    """A call other than a draw has failed."""

    call: int
    failure: Failure


class Done(_Message):
    """A row of a draw has ended."""

    call: int
    row: int
    results: Columns


class Preview(_Message):
    """A row of a draw as it is now."""

    call: int
    row: int
    step: int
    results: Columns


class Text(_Message):
    """More of a row's text, as UTF-8."""

    call: int
    row: int
    token_offset: int
    character_offset: int
    text: bytes


class DrawEnded(_Message):
    """A draw has ended: nothing more comes.

    Args:
        call: Number of the call.
        failure: Why, where it failed.
    """

    call: int
    failure: Failure | None = None


class Stepped(_Message):
    """A step of an iterative model."""

    replica: int
    rows: int
    padded_rows: int
    run_s: float


class Events(_Message):
    """What happened to draws in one turn of the loop."""

    events: list[Done | Preview | Text | DrawEnded | Stepped]


Report = Loaded | Warm | Unloaded | Ran | Failed | Events

# On the control channel.


class Cancel(_Message):
    """From the server: a draw is not wanted any more."""

    call: int


class Shutdown(_Message):
    """From the server: end now."""


Control = Cancel | Shutdown


class Beat(_Message):
    """From the worker: a sign of life.

    Args:
        calls: Calls of models that have ended.
        busy: Kind of the call that runs now; empty between calls.
        busy_s: For how long it has run.
    """

    calls: int
    busy: str
    busy_s: float


encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_report = msgspec.msgpack.Decoder(Report).decode
decode_control = msgspec.msgpack.Decoder(Control).decode
decode_beat = msgspec.msgpack.Decoder(Beat).decode
encode_values = msgspec.msgpack.Encoder().encode
decode_values = msgspec.msgpack.Decoder(list[bool | int | float | str | Sequence[str] | None]).decode
