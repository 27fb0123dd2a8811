"""Protobuf messages as the engine's values, and back: the one place where both are known."""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from functools import lru_cache
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Call, Output, RowPreview, Rows, RowText
from genservice.engine.cascade import Rule
from genservice.engine.catalog import Catalog, Version
from genservice.engine.submission import Chunk
from genservice.engine.verbs import event_of, features_of
from genservice.errors import GenserviceError, InvalidRequest
from genservice.model.base import Comparer, Generator, Model, Predictor, Retriever, Tagger
from genservice.model.media import INPUT_FORMATS
from genservice.model.options import Options, OptionScalar
from genservice.model.specs import TensorSpec
from genservice.store.names import ModelName
from genservice.v1 import classification_pb2, generation_pb2, models_pb2, types_pb2

MOST_DIMENSIONS = 32

_DTYPES: Mapping[int, np.dtype[Any]] = {
    types_pb2.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    types_pb2.DATA_TYPE_UINT8: np.dtype("u1"),
    types_pb2.DATA_TYPE_INT32: np.dtype("<i4"),
    types_pb2.DATA_TYPE_INT64: np.dtype("<i8"),
    types_pb2.DATA_TYPE_FLOAT64: np.dtype("<f8"),
    types_pb2.DATA_TYPE_BOOL: np.dtype("?"),
}
_NUMBERS = {dtype: types_pb2.DataType.ValueType(number) for number, dtype in _DTYPES.items()}
"""The same by type; a type's name takes a while to make."""
_LENGTH_DELIMITED = 2
"""Wire type of strings, bytes and messages (protobuf's encoding guide)."""
_CHUNK_FIELD = generation_pb2.SampleResponse.CHUNK_FIELD_NUMBER
_TENSOR_FIELD = generation_pb2.SampleChunk.TENSOR_FIELD_NUMBER
_DATA_FIELD = types_pb2.Tensor.DATA_FIELD_NUMBER
_DATA_TYPES = {dtype.name: types_pb2.DataType.ValueType(number) for number, dtype in _DTYPES.items()}


def array(message: types_pb2.Tensor, field: str) -> NDArray[Any]:
    """Reads a tensor without copying its elements.

    Args:
        message: What came.
        field: Path of the request's field, for the error.

    Returns:
        A read-only array.

    Raises:
        InvalidRequest: The type is not known, or the shape and the length of the bytes do not agree.
    """
    dtype = _DTYPES.get(message.data_type)
    if dtype is None:
        known = ", ".join(types_pb2.DataType.Name(number) for number in _DATA_TYPES.values())
        raise InvalidRequest(f"`{field}.data_type` is one of {known}.", field=f"{field}.data_type")
    shape, encoded = tuple(message.shape), message.data
    if len(shape) > MOST_DIMENSIONS or any(extent < 1 for extent in shape):
        raise InvalidRequest(
            f"`{field}.shape` has at most {MOST_DIMENSIONS} dimensions, each 1 or greater; got {_short(shape)}.",
            field=f"{field}.shape",
        )
    # Python's integers do not overflow, and nothing is allocated before the length is right.
    if prod(shape) * dtype.itemsize != len(encoded):
        raise InvalidRequest(
            f"`{field}.data` has {len(encoded)} bytes; the shape {_short(shape)} of {dtype.name} needs "
            f"{' * '.join(map(str, (*shape[:8], dtype.itemsize)))}.",
            field=f"{field}.data",
        )
    if dtype.kind == "b" and encoded.strip(b"\0\1"):
        raise InvalidRequest(f"`{field}.data` has 0 or 1 in each byte of a bool.", field=f"{field}.data")
    return np.frombuffer(encoded, dtype).reshape(shape)


def rows(message: types_pb2.Condition, field: str) -> Rows:
    """Reads values that have a leading row dimension.

    Args:
        message: What came.
        field: Path of the request's field, for the error.

    Raises:
        InvalidRequest: There are no values, or they are not well formed.
    """
    match message.WhichOneof("values"):
        case "strings":
            return list(message.strings.rows)
        case "tensor":
            return tensor_rows(message.tensor, f"{field}.tensor")
        case "encoded":
            if message.encoded.media_type not in INPUT_FORMATS:
                raise InvalidRequest(
                    f"`{field}.encoded.media_type` is one of {', '.join(INPUT_FORMATS)}; "
                    f"got {message.encoded.media_type!r}.",
                    field=f"{field}.encoded.media_type",
                )
            return list(message.encoded.rows)
    raise InvalidRequest(f"`{field}` is missing: it has a `tensor`, `strings` or `encoded` images.", field=field)


def sequences(messages: Sequence[classification_pb2.Sequence], field: str) -> list[Rows]:
    """Reads sequences.

    Raises:
        InvalidRequest: One has no values, or they are not well formed.
    """
    read: list[Rows] = []
    for number, message in enumerate(messages):
        path = f"{field}[{number}]"
        match message.WhichOneof("positions"):
            case "tokens":
                read.append(list(message.tokens.rows))
            case "tensor":
                read.append(tensor_rows(message.tensor, f"{path}.tensor"))
            case _:
                raise InvalidRequest(f"`{path}` is empty: it has a `tensor` or `tokens`.", field=path)
    return read


def tensor_rows(message: types_pb2.Tensor, field: str) -> NDArray[Any]:
    """Reads a tensor that has a leading row dimension.

    Raises:
        InvalidRequest: It is a scalar, or not well formed.
    """
    values = array(message, field)
    if not values.ndim:
        raise InvalidRequest(f"`{field}.shape` begins with the number of rows; got a scalar.", field=f"{field}.shape")
    return values


def conditions(messages: Mapping[str, types_pb2.Condition]) -> dict[str, Rows]:
    """Reads the conditions of a draw."""
    return {name: rows(message, f"conditions.{name}") for name, message in messages.items()}


def options(messages: Mapping[str, types_pb2.OptionValue]) -> dict[str, OptionScalar]:
    """Reads options.

    Raises:
        InvalidRequest: One has no value, or is NaN or infinite.
    """
    values: dict[str, OptionScalar] = {}
    for name, message in messages.items():
        kind = message.WhichOneof("value")
        if kind is None:
            raise InvalidRequest(f"`options.{name}` has no value.", field=f"options.{name}")
        value: OptionScalar = tuple(message.strings_value.rows) if kind == "strings_value" else getattr(message, kind)
        if isinstance(value, float) and not isfinite(value):
            raise InvalidRequest(f"`options.{name}` is a finite number; got {value}.", field=f"options.{name}")
        values[name] = value
    return values


def output(message: generation_pb2.Output) -> Output:
    """Reads the form in which samples are asked for.

    Raises:
        InvalidRequest: There is no such type.
    """
    if message.WhichOneof("form") == "media_type":
        return Output(media_type=message.media_type)
    if message.tensor == types_pb2.DATA_TYPE_UNSPECIFIED:
        return Output()
    dtype = _DTYPES.get(message.tensor)
    if dtype is None:
        raise InvalidRequest(f"`output.tensor` is no known type: {message.tensor}.", field="output.tensor")
    return Output(dtype=dtype.name)


def as_ready(order: int) -> bool:
    """Reads whether samples may be sent before others of lower index.

    Raises:
        InvalidRequest: There is no such order.
    """
    if order not in generation_pb2.SampleOrder.values():
        raise InvalidRequest(f"`order` is no known order: {order}.", field="order")
    return order == generation_pb2.SAMPLE_ORDER_AS_READY


def tensor(values: NDArray[Any]) -> types_pb2.Tensor:
    """Writes an array."""
    message = types_pb2.Tensor()
    _write(values, message)
    return message


def chunk(call: Call, part: Chunk, next_index: int = 0) -> bytes:
    """Writes samples in the form that their request asked for, as a serialized `SampleResponse`."""
    message = generation_pb2.SampleResponse()
    message.chunk.next_index = next_index
    for start, stop in part.ranges:
        message.chunk.indexes.add(start=call.first_index + start, end=call.first_index + stop)
    first = part.parts[0]["samples"]
    if isinstance(first, np.ndarray) and first.dtype in _NUMBERS:
        arrays: list[NDArray[Any]] = [np.ascontiguousarray(results["samples"]) for results in part.parts]
        message.chunk.tensor.data_type = _NUMBERS[first.dtype]
        message.chunk.tensor.shape.extend((len(part), *first.shape[1:]))
        return _with_data(message, arrays)
    _write_samples(part.results["samples"], call, message.chunk)
    return message.SerializeToString()


def _with_data(message: generation_pb2.SampleResponse, arrays: Sequence[NDArray[Any]]) -> bytes:
    """Serializes a message and sets `chunk.tensor.data`, copying the elements once; protobuf would do it three times.

    Serialized messages one after another are their merger, so the field is a message of its own behind the rest.
    """
    data_bytes = sum(array.nbytes for array in arrays)
    head = b""
    for field in (_DATA_FIELD, _TENSOR_FIELD, _CHUNK_FIELD):
        head = bytes([field << 3 | _LENGTH_DELIMITED]) + _varint(len(head) + data_bytes) + head
    return b"".join((message.SerializeToString(), head, *(array.data.cast("B") for array in arrays)))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def progress(next_index: int) -> bytes:
    """Writes that none of the samples up to an index passed, as a serialized `SampleResponse`."""
    chunk = generation_pb2.SampleChunk(next_index=next_index)
    return generation_pb2.SampleResponse(chunk=chunk).SerializeToString()


def rule(message: generation_pb2.SampleFilter) -> Rule:
    """Reads which samples pass.

    Raises:
        InvalidRequest: The classifier's name is no name, or an option has no value.
    """
    try:
        classifier = ModelName.parse(message.classifier)
        values = options(message.options)
    except GenserviceError as error:
        error.field = f"filter.{'classifier' if error.field == 'model' else error.field}"
        raise
    return Rule(classifier, message.label, message.min_probability, message.max_draws, values)


def preview(call: Call, event: RowPreview) -> generation_pb2.SampleResponse:
    """Writes a sample that is on its way."""
    message = generation_pb2.SampleResponse()
    message.preview.index, message.preview.step = call.first_index + event.row, event.step
    _write_samples(event.results["samples"], call, message.preview)
    return message


def text_delta(call: Call, event: RowText) -> generation_pb2.SampleResponse:
    """Writes more of a text."""
    return generation_pb2.SampleResponse(
        text_delta=generation_pb2.TextDelta(
            index=call.first_index + event.row,
            token_offset=event.token_offset,
            character_offset=event.character_offset,
            text=event.text,
        )
    )


def determinism(version: Version) -> types_pb2.Determinism.ValueType:
    """How far two draws of one address agree; UNSPECIFIED where the version does not sample."""
    if not isinstance(version.description, Generator):
        return types_pb2.DETERMINISM_UNSPECIFIED
    return types_pb2.Determinism.Value(f"DETERMINISM_{version.description.determinism}")


def spec(values: TensorSpec, message: types_pb2.TensorSpec) -> None:
    """Writes the spec of a row into a message."""
    message.data_type = _DATA_TYPES.get(values.dtype, types_pb2.DATA_TYPE_UNSPECIFIED)
    message.shape.extend(values.shape)
    message.description = values.description
    message.optional = values.default is not None
    if values.minimum is not None:
        message.minimum = values.minimum
    if values.maximum is not None:
        message.maximum = values.maximum


def version_message(version: Version) -> models_pb2.ModelVersion:
    """Writes a version; what could not be read of a damaged one is left empty."""
    message = models_pb2.ModelVersion(
        name=str(version.name),
        state=models_pb2.ModelState.Value(f"MODEL_STATE_{version.state}"),
        reason=version.reason,
        content_hash=version.content_hash,
        verbs=version.verbs,
        determinism=determinism(version),
        numerics=version.numerics,
    )
    if version.manifest is not None:
        message.family = version.manifest.family
        message.plugin = f"{version.manifest.plugin} {version.manifest.plugin_version}"
        message.card = version.manifest.card.markdown()
    if version.batcher is not None:
        message.rows_per_second.update(version.batcher.rows_per_second)
    if version.serving is not None:
        message.batch_sizes.extend(version.serving.sizes)
    if version.description is not None:
        message.options_schema = _options_schema(version.description.Options)
        message.labels.extend(version.description.labels)
        message.media_types.extend(version.description.media_types)
        message.features.extend(features_of(version.description))
        _capabilities(version.description, message)
        if (event := event_of(version.description)) is not None:
            spec(event, message.event)
        _specs(version.description.conditions, message.conditions)
    return message


def _capabilities(model: Model, message: models_pb2.ModelVersion) -> None:
    """Writes what models of some kinds declare."""
    if isinstance(model, Tagger):
        message.positions = model.positions
    if isinstance(model, Retriever):
        message.reference_rows = model.reference_rows
    if isinstance(model, Comparer):
        message.threshold = model.threshold
    if isinstance(model, Predictor):
        message.default_signature = model.default_signature
        for name, signature in model.signatures.items():
            _specs(signature.inputs, message.signatures[name].inputs)
            _specs(signature.outputs, message.signatures[name].outputs)


def model_message(catalog: Catalog, name: ModelName) -> models_pb2.Model:
    """Writes a model with all its versions, or with the one that is named.

    Raises:
        NotFound: There is no such model, version or label.
    """
    versions = catalog.known(name)
    default = catalog.default(name.model)
    return models_pb2.Model(
        name=str(ModelName(name.model)),
        versions=map(version_message, versions),
        labels=catalog.labels(name.model),
        default_version=default.number if default is not None else 0,
    )


def _write_samples(samples: Any, call: Call, message: Any) -> None:
    """Writes an array, files, or texts."""
    if call.output.media_type:
        message.encoded.media_type = call.output.media_type
        message.encoded.rows.extend(samples)
    elif isinstance(samples, list) or samples.dtype.kind in "OSU":
        message.text.rows.extend(row.decode() if isinstance(row, bytes) else str(row) for row in samples)
    else:
        _write(samples, message.tensor)


def _write(values: NDArray[Any], message: types_pb2.Tensor) -> None:
    message.data_type = _NUMBERS[values.dtype]
    message.shape.extend(values.shape)
    message.data = values.tobytes()


def _specs(specs: Mapping[str, TensorSpec], messages: MutableMapping[str, types_pb2.TensorSpec]) -> None:
    for name, values in specs.items():
        spec(values, messages[name])


@lru_cache(maxsize=256)
def _options_schema(options: type[Options]) -> str:
    return json.dumps(options.model_json_schema())


def _short(shape: tuple[int, ...]) -> str:
    return f"{list(shape[:8])}" if len(shape) <= 8 else f"{len(shape)} dimensions"
