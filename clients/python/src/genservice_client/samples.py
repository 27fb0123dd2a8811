"""Samples that have come."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genservice.v1 import generation_pb2, types_pb2
from genservice_client.errors import ProtocolError
from genservice_client.images import images_from_array, images_from_files
from genservice_client.tensors import Array, TensorSpec, array_from

if TYPE_CHECKING:
    from PIL.Image import Image


class Determinism(StrEnum):
    """How far two draws of one sample agree."""

    UNSPECIFIED = "UNSPECIFIED"
    """Not known."""
    SAME_DRAWS = "SAME_DRAWS"
    """The same random numbers; float32 outputs equal to a tolerance."""
    BITWISE = "BITWISE"
    """The same bits, wherever `numerics` is equal."""

    @classmethod
    def from_message(cls, message: types_pb2.Determinism.ValueType) -> "Determinism":
        """Makes the value of a message; what a newer server may add is UNSPECIFIED."""
        return {
            types_pb2.DETERMINISM_SAME_DRAWS: cls.SAME_DRAWS,
            types_pb2.DETERMINISM_BITWISE: cls.BITWISE,
        }.get(message, cls.UNSPECIFIED)


@dataclass(frozen=True)
class SampleHeader:
    """What a stream of samples is pinned to."""

    model: str
    """The version that answers, `models/{model}/versions/{n}`."""
    content_hash: str
    """SHA-256 of the version's content, in hexadecimal."""
    seed: int
    """The seed in effect."""
    spec: TensorSpec
    """Shape, type and range of one sample, before `output` is applied."""
    determinism: Determinism
    """How far another draw of the same samples agrees."""
    numerics: str
    """Fingerprint of what the bits depend on."""
    classifier: str = ""
    """Where samples are filtered: the version that decides, `models/{model}/versions/{n}`; else empty."""

    @classmethod
    def from_message(cls, message: generation_pb2.SampleHeader) -> "SampleHeader":
        """Makes the value of a message."""
        return cls(
            model=message.model,
            content_hash=message.content_hash,
            seed=message.seed,
            spec=TensorSpec.from_message(message.sample_spec),
            determinism=Determinism.from_message(message.determinism),
            numerics=message.numerics,
            classifier=message.classifier,
        )


@dataclass(frozen=True)
class SampleSummary:
    """How a stream went."""

    sample_count: int
    """Samples that came."""
    elapsed_s: float
    """Seconds from the call of `sample` to the end of the stream, on this side."""
    resume_count: int
    """How often the stream was cut and went on."""
    draw_count: int
    """Samples that were drawn and looked at, where a filter kept some of them; else as many as came."""

    @property
    def rate(self) -> float:
        """The share of the samples that a filter kept, from 0 to 1."""
        return self.sample_count / self.draw_count


@dataclass(frozen=True, eq=False)
class SampleRows:
    """Samples in one of three forms: numbers, files or texts."""

    indexes: npt.NDArray[np.int64]
    """Index of each sample, int64 `[rows]`."""
    rows: Array | Sequence[bytes] | Sequence[str]
    """Numbers `[rows, ...]`, or a file or a text a row."""
    header: SampleHeader
    """What the samples are pinned to."""
    media_type: str = ""
    """IANA media type of the files, such as `image/png`; empty where the rows are no files."""

    def __len__(self) -> int:
        return len(self.indexes)

    def to_numpy(self) -> Array:
        """Gives the samples as numbers.

        Returns:
            `[rows, *shape]`, of the type asked for: float32 in the range of `header.spec`, or uint8 from 0 to 255.
            A chunk's array is read-only, for it shares the memory of the message.

        Raises:
            TypeError: They are files or texts.
        """
        if isinstance(self.rows, np.ndarray):
            return self.rows
        raise TypeError(f"the samples are {self._form()}, not numbers")

    def files(self) -> list[bytes]:
        """Gives the samples as files of `media_type`.

        Raises:
            TypeError: They are numbers or texts.
        """
        if isinstance(self.rows, np.ndarray) or not self.media_type:
            raise TypeError(f"the samples are {self._form()}, not files; ask for output='image/png' or the like")
        return [row for row in self.rows if isinstance(row, bytes)]

    def texts(self) -> list[str]:
        """Gives the samples as texts.

        Raises:
            TypeError: They are numbers or files.
        """
        if isinstance(self.rows, np.ndarray) or self.media_type:
            raise TypeError(f"the samples are {self._form()}, not texts")
        return [row for row in self.rows if isinstance(row, str)]

    def images(self) -> "list[Image]":
        """Gives the samples as pictures of Pillow's, decoded from files or scaled from numbers.

        Raises:
            ImportError: Pillow is not installed.
            TypeError: They are texts, or files of another kind.
            ValueError: The numbers' shape is no picture's, or their range is not known.
        """
        if isinstance(self.rows, np.ndarray):
            return images_from_array(self.rows, self.header.spec)
        if not self.media_type.startswith("image/"):
            raise TypeError(f"the samples are {self._form()}, not pictures")
        return images_from_files(self.files())

    def _form(self) -> str:
        if isinstance(self.rows, np.ndarray):
            return f"numbers ({self.rows.dtype})"
        return f"files ({self.media_type})" if self.media_type else "texts"


class SampleChunk(SampleRows):
    """Some samples of a stream. Their indexes follow one another, unless the stream gives samples as they are ready."""

    def at(self, places: slice | Sequence[int]) -> "SampleChunk":
        """Gives the samples in some places of the chunk."""
        rows = self.rows
        if isinstance(places, slice) or isinstance(rows, np.ndarray):
            picked: Any = rows[places]  # type: ignore[index]
        else:
            picked = [rows[place] for place in places]
        return SampleChunk(self.indexes[places], picked, self.header, self.media_type)

    @property
    def row_bytes(self) -> int:
        """Bytes that the samples take, all together."""
        if isinstance(self.rows, np.ndarray):
            return self.rows.nbytes
        return sum(len(row) for row in self.rows)


class Samples(SampleRows):
    """All samples of a stream, in the order of their indexes."""

    @property
    def model(self) -> str:
        """The version that answered, `models/{model}/versions/{n}`."""
        return self.header.model

    @property
    def seed(self) -> int:
        """The seed in effect."""
        return self.header.seed

    @classmethod
    def joined(cls, chunks: Sequence[SampleChunk]) -> "Samples":
        """Joins the chunks of a stream, of which there is at least one, and sorts the samples by their indexes.

        Raises:
            ProtocolError: They differ in form.
        """
        first = chunks[0]
        forms = {(type(chunk.rows), chunk.media_type) for chunk in chunks}
        if len(forms) > 1:
            raise ProtocolError("the samples of one stream came in several forms")
        indexes = np.concatenate([chunk.indexes for chunk in chunks])
        order = None if np.all(indexes[:-1] < indexes[1:]) else np.argsort(indexes, kind="stable")
        if isinstance(first.rows, np.ndarray):
            array = np.concatenate([chunk.to_numpy() for chunk in chunks])
            rows: Array | list[bytes] | list[str] = array if order is None else array[order]
        else:
            listed: list[Any] = [row for chunk in chunks for row in chunk.rows]
            rows = listed if order is None else [listed[place] for place in order]
        return cls(indexes if order is None else indexes[order], rows, first.header, first.media_type)


def chunk_rows_from(message: generation_pb2.SampleChunk) -> tuple[Array | list[bytes] | list[str], str]:
    """Reads the rows of a chunk, and their media type.

    Raises:
        ProtocolError: There are none.
    """
    match message.WhichOneof("samples"):
        case "tensor" if message.tensor.shape:
            return array_from(message.tensor), ""
        case "encoded" if message.encoded.media_type:
            return list(message.encoded.rows), message.encoded.media_type
        case "text":
            return list(message.text.rows), ""
        case form:
            raise ProtocolError(f"a chunk came without rows, in the form {form!r}")
