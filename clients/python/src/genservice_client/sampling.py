"""Requests for samples."""

import secrets
from collections.abc import Mapping

from genservice.v1 import generation_pb2, types_pb2
from genservice_client.draw import Draw
from genservice_client.names import resource_name
from genservice_client.row_values import Conditions, RowsLike
from genservice_client.stream import AsyncSampleStream
from genservice_client.transport import Transport


def sample_stream(
    transport: Transport,
    model: str,
    sample_count: int,
    *,
    seed: int | None,
    first_index: int,
    output: str | None,
    chunk_rows: int,
    conditions: Mapping[str, RowsLike] | None,
    timeout_s: float | None,
    options: Mapping[str, types_pb2.OptionValue],
) -> AsyncSampleStream:
    """Prepares a stream of samples; `Client.sample` says what the arguments mean.

    Raises:
        TypeError: A condition's type does not exist on the wire.
        ValueError: An argument is out of its range.
    """
    if sample_count < 1:
        raise ValueError(f"sample_count is {sample_count}; it must be at least 1")
    if first_index < 0 or first_index + sample_count > 2**63 - 1:
        raise ValueError(f"first_index is {first_index}; the indexes must lie from 0 to 2^63 - 2")
    if not 0 <= chunk_rows < 2**31:
        raise ValueError(f"chunk_rows is {chunk_rows}; it must be from 0 to 2^31 - 1")
    # Drawn here rather than by the server: a stream that is cut before its header can then go on, too.
    seed = secrets.randbits(64) if seed is None else seed
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed}; it must be from 0 to 2^64 - 1")
    request = generation_pb2.SampleRequest(
        model=resource_name(model),
        seed=seed,
        first_index=first_index,
        sample_count=sample_count,
        options=options,
        chunk_rows=chunk_rows,
        output=None if output is None else _output(output),
    )
    limits = transport.endpoint.limits
    draw = Draw(request, Conditions(conditions or {}, sample_count), max_request_bytes=limits.max_request_bytes)
    return AsyncSampleStream(draw, transport, seed=seed, timeout_s=timeout_s)


def _output(form: str) -> generation_pb2.Output:
    match form:
        case "float32":
            return generation_pb2.Output(tensor=types_pb2.DATA_TYPE_FLOAT32)
        case "uint8":
            return generation_pb2.Output(tensor=types_pb2.DATA_TYPE_UINT8)
        case _ if "/" in form:
            return generation_pb2.Output(media_type=form)
    raise ValueError(f"output is {form!r}; it must be 'float32', 'uint8' or a media type such as 'image/png'")
