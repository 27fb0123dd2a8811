"""Answers of models that compare, and of those that find neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2
from genservice_client.errors import ProtocolError
from genservice_client.tensors import joined_rows


@dataclass(frozen=True, eq=False)
class Comparison:
    """How far the two inputs of each pair are from each other."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    distances: npt.NDArray[np.float32]
    """Distance of each pair, float32 `[rows]`."""
    threshold: float
    """Pairs closer than this are the same."""

    @classmethod
    def joined(cls, responses: Sequence[classification_pb2.CompareResponse], row_count: int) -> "Comparison":
        """Joins the answers to the parts of one call.

        Raises:
            ProtocolError: They do not fit together.
        """
        distances = joined_rows([response.distances for response in responses], row_count)
        return cls(responses[0].model, distances, responses[0].threshold)

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """Whether both inputs of a pair show the same, bool `[rows]`."""
        return np.asarray(self.distances < self.threshold)


@dataclass(frozen=True, eq=False)
class Identification:
    """Who of a gallery is on each input."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    names: tuple[str | None, ...]
    """The name of each row's nearest entry; None where none is closer than `threshold`."""
    distances: npt.NDArray[np.float32]
    """Distance to the nearest entry, float32 `[rows]`."""
    threshold: float
    """Entries closer than this are the same."""

    @classmethod
    def joined(cls, responses: Sequence[classification_pb2.IdentifyResponse], row_count: int) -> "Identification":
        """Joins the answers to the parts of one call.

        Raises:
            ProtocolError: They do not fit together.
        """
        distances = joined_rows([response.distances for response in responses], row_count)
        names = tuple(name or None for response in responses for name in response.names)
        if len(names) != row_count:
            raise ProtocolError(f"{row_count} rows were asked about, and {len(names)} names came back")
        return cls(responses[0].model, names, distances, responses[0].threshold)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of the model's reference set, of each input, the nearest first."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    indexes: npt.NDArray[np.int64]
    """Places in the reference set, int64 `[rows, k]`."""
    distances: npt.NDArray[np.float32]
    """Distances, float32 `[rows, k]`."""

    @classmethod
    def joined(cls, responses: Sequence[classification_pb2.NeighboursResponse], row_count: int, k: int) -> "Neighbours":
        """Joins the answers to the parts of one call.

        Raises:
            ProtocolError: They do not fit together.
        """
        indexes = joined_rows([response.indexes for response in responses], row_count)
        distances = joined_rows([response.distances for response in responses], row_count)
        if not indexes.shape == distances.shape == (row_count, k):
            raise ProtocolError(
                f"{k} neighbours a row were asked for; indexes {list(indexes.shape)} and distances "
                f"{list(distances.shape)} came"
            )
        return cls(responses[0].model, indexes, distances)

    def __len__(self) -> int:
        return len(self.indexes)
