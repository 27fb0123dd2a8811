"""What is served."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from genservice.v1 import models_pb2
from genservice_client.errors import ProtocolError
from genservice_client.samples import Determinism
from genservice_client.tensors import TensorSpec


class ModelState(StrEnum):
    """State of a version."""

    UNSPECIFIED = "UNSPECIFIED"
    """In the store, and not asked for; or a state that this SDK does not know."""
    RECOVERING = "RECOVERING"
    """Its worker died, and another is being started; requests are taken and wait."""
    LOADING = "LOADING"
    """Files are being checked and read."""
    WARMING = "WARMING"
    """Batch sizes are being traced, compiled and checked."""
    READY = "READY"
    """Served."""
    DRAINING = "DRAINING"
    """Finishes what it has begun, takes nothing new."""
    UNLOADED = "UNLOADED"
    """Was served, and is no more."""
    FAILED = "FAILED"
    """Cannot be served; `reason` says why."""

    @classmethod
    def from_message(cls, message: models_pb2.ModelState.ValueType) -> "ModelState":
        """Makes the value of a message; what a newer server may add is UNSPECIFIED."""
        return {
            models_pb2.MODEL_STATE_RECOVERING: cls.RECOVERING,
            models_pb2.MODEL_STATE_LOADING: cls.LOADING,
            models_pb2.MODEL_STATE_WARMING: cls.WARMING,
            models_pb2.MODEL_STATE_READY: cls.READY,
            models_pb2.MODEL_STATE_DRAINING: cls.DRAINING,
            models_pb2.MODEL_STATE_UNLOADED: cls.UNLOADED,
            models_pb2.MODEL_STATE_FAILED: cls.FAILED,
        }.get(message, cls.UNSPECIFIED)


@dataclass(frozen=True)
class Signature:
    """What a function of a model takes and gives; specs of one row each."""

    inputs: Mapping[str, TensorSpec]
    """Inputs by name."""
    outputs: Mapping[str, TensorSpec]
    """Outputs by name."""

    @classmethod
    def from_message(cls, message: models_pb2.SignatureSpec) -> "Signature":
        """Makes the value of a message."""
        return cls(
            inputs={name: TensorSpec.from_message(spec) for name, spec in message.inputs.items()},
            outputs={name: TensorSpec.from_message(spec) for name, spec in message.outputs.items()},
        )


@dataclass(frozen=True)
class VersionInfo:
    """One immutable version of a model."""

    name: str
    """`models/{model}/versions/{n}`."""
    state: ModelState
    """Its state."""
    reason: str
    """Why it is FAILED; else empty."""
    content_hash: str
    """SHA-256 of its content, in hexadecimal; empty where its files are damaged."""
    family: str
    """Family that it belongs to, such as `gan`."""
    plugin: str
    """Distribution that provides the family, and its version."""
    verbs: tuple[str, ...]
    """Verbs that it has, such as `sample` and `classify`."""
    options_schema: Mapping[str, Any]
    """JSON Schema of its options."""
    event: TensorSpec | None
    """One row that it samples, classifies, scores or embeds; None: it has none, for all it does is `predict`."""
    conditions: Mapping[str, TensorSpec]
    """Other inputs of a draw, by name."""
    labels: tuple[str, ...]
    """Names of its classes, in the order of the probabilities."""
    media_types: tuple[str, ...]
    """Media types that its samples can be delivered in."""
    determinism: Determinism
    """How far two draws of one sample agree."""
    numerics: str
    """Fingerprint of what the bits depend on."""
    batch_sizes: tuple[int, ...]
    """Sizes that batches are padded to, ascending."""
    card: str
    """The model card, in Markdown."""
    rows_per_second: Mapping[str, float]
    """Rows a second that one replica has been measured to make, by verb; only of verbs that have run."""
    features: tuple[str, ...]
    """What else it can do: `preview` where samples can be seen on their way, `text_deltas` where text can, `images`
    where inputs may be image files."""
    positions: int
    """Most positions of a sequence, of a version that tags; its `event` is one position. Else 0."""
    reference_rows: int
    """Rows of the reference set, of a version that finds neighbours. Else 0."""
    threshold: float
    """Inputs whose embeddings are closer than this are the same, of a version that compares. Else 0."""
    signatures: Mapping[str, Signature]
    """What `predict` can call, by name, of a version that has it."""
    default_signature: str
    """The signature that is called where none is named."""

    @property
    def number(self) -> int:
        """The version's number."""
        return int(self.name.rpartition("/")[2])

    @classmethod
    def from_message(cls, message: models_pb2.ModelVersion) -> "VersionInfo":
        """Makes the value of a message.

        Raises:
            ProtocolError: The schema of the options is no JSON.
        """
        try:
            options_schema = json.loads(message.options_schema or "{}")
        except ValueError as error:
            raise ProtocolError(f"the schema of the options of {message.name} is no JSON: {error}") from error
        return cls(
            name=message.name,
            state=ModelState.from_message(message.state),
            reason=message.reason,
            content_hash=message.content_hash,
            family=message.family,
            plugin=message.plugin,
            verbs=tuple(message.verbs),
            options_schema=options_schema,
            event=TensorSpec.from_message(message.event) if message.HasField("event") else None,
            conditions={name: TensorSpec.from_message(spec) for name, spec in message.conditions.items()},
            labels=tuple(message.labels),
            media_types=tuple(message.media_types),
            determinism=Determinism.from_message(message.determinism),
            numerics=message.numerics,
            batch_sizes=tuple(message.batch_sizes),
            card=message.card,
            rows_per_second=dict(message.rows_per_second),
            features=tuple(message.features),
            positions=message.positions,
            reference_rows=message.reference_rows,
            threshold=message.threshold,
            signatures={name: Signature.from_message(spec) for name, spec in message.signatures.items()},
            default_signature=message.default_signature,
        )


@dataclass(frozen=True)
class ModelInfo:
    """A model: versions under one name."""

    name: str
    """`models/{model}`."""
    versions: tuple[VersionInfo, ...]
    """The versions, the newest first."""
    labels: Mapping[str, int]
    """Version numbers by label."""
    default_version: int
    """Version that answers where neither version nor label is named; 0: none is ready."""

    @classmethod
    def from_message(cls, message: models_pb2.Model) -> "ModelInfo":
        """Makes the value of a message."""
        return cls(
            name=message.name,
            versions=tuple(VersionInfo.from_message(version) for version in message.versions),
            labels=dict(message.labels),
            default_version=message.default_version,
        )

    @property
    def answering(self) -> VersionInfo | None:
        """The version that answers requests for this name: the default one, or the only one. None: none is ready."""
        for version in self.versions:
            if version.number == self.default_version or len(self.versions) == 1:
                return version
        return None

    def version(self, number: int) -> VersionInfo:
        """Gives the version of a number.

        Raises:
            KeyError: There is none.
        """
        for version in self.versions:
            if version.number == number:
                return version
        raise KeyError(f"{self.name} has no version {number}")
