"""Requests for samples."""

import secrets
from collections.abc import Mapping
from typing import Literal

from genservice.v1 import generation_pb2, types_pb2
from genservice_client.draw import Draw
from genservice_client.endpoint import Priority
from genservice_client.filtering import FilteredDraw, SampleFilter
from genservice_client.names import resource_name
from genservice_client.replicas import Replicas
from genservice_client.retry import Deadline
from genservice_client.route import Route
from genservice_client.row_values import Conditions, RowsLike
from genservice_client.stream import AsyncSampleStream

Order = Literal["index", "as_ready"]
"""Order in which samples are given: by index, or each as soon as it has come."""

_ORDERS: Mapping[Order, generation_pb2.SampleOrder.ValueType] = {
    "index": generation_pb2.SAMPLE_ORDER_UNSPECIFIED,
    "as_ready": generation_pb2.SAMPLE_ORDER_AS_READY,
}


def sample_stream(
    replicas: Replicas,
    model: str,
    sample_count: int,
    *,
    seed: int | None,
    first_index: int,
    output: str | None,
    chunk_rows: int,
    order: Order,
    preview_steps: int,
    text_deltas: bool,
    conditions: Mapping[str, RowsLike] | None,
    keep: SampleFilter | None,
    timeout_s: float | None,
    priority: Priority | None,
    options: Mapping[str, types_pb2.OptionValue],
) -> AsyncSampleStream:
    """Prepares a stream of samples; `Client.sample` says what the arguments mean.

    Raises:
        TypeError: A condition's type does not exist on the wire.
        ValueError: An argument is out of its range.
    """
    if sample_count < 1:
        raise ValueError(f"sample_count is {sample_count}; it must be at least 1")
    sample_filter = None if keep is None else keep.message(sample_count)
    most_draws = sample_count if sample_filter is None else sample_filter.max_draws
    if first_index < 0 or first_index + most_draws > 2**63 - 1:
        raise ValueError(f"first_index is {first_index}; the indexes must lie from 0 to 2^63 - 2")
    if not 0 <= chunk_rows < 2**31:
        raise ValueError(f"chunk_rows is {chunk_rows}; it must be from 0 to 2^31 - 1")
    if not 0 <= preview_steps < 2**31:
        raise ValueError(f"preview_steps is {preview_steps}; it must be from 0 to 2^31 - 1")
    if order not in _ORDERS:
        raise ValueError(f"order is {order!r}; it must be one of {', '.join(_ORDERS)}")
    if keep is not None and (order != "index" or preview_steps or text_deltas):
        raise ValueError("order, preview_steps and text_deltas cannot be had together with keep")
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
        order=_ORDERS[order],
        preview_steps=preview_steps,
        text_deltas=text_deltas,
        output=None if output is None else _output(output),
        filter=sample_filter,
    )
    endpoint = replicas.endpoint
    # Which samples pass is not known beforehand, so with a filter a condition has no row for each.
    rows = Conditions(conditions or {}, sample_count if keep is None else 1)
    draw = (Draw if keep is None else FilteredDraw)(request, rows, max_request_bytes=endpoint.limits.max_request_bytes)
    route = Route(replicas, Deadline(timeout_s, endpoint.clock), priority)
    return AsyncSampleStream(draw, replicas, route, seed=seed)


def _output(form: str) -> generation_pb2.Output:
    match form:
        case "float32":
            return generation_pb2.Output(tensor=types_pb2.DATA_TYPE_FLOAT32)
        case "uint8":
            return generation_pb2.Output(tensor=types_pb2.DATA_TYPE_UINT8)
        case _ if "/" in form:
            return generation_pb2.Output(media_type=form)
    raise ValueError(f"output is {form!r}; it must be 'float32', 'uint8' or a media type such as 'image/png'")
