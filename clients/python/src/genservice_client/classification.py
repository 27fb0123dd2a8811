"""Answers of classifiers and scorers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2, generation_pb2
from genservice_client.errors import ProtocolError
from genservice_client.tensors import Array, joined_rows

RankedLabels = list[tuple[str, float]]
"""Labels of a row and their probabilities, the most probable first."""


@dataclass(frozen=True, eq=False)
class Classification:
    """p(label | x) of each input."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    probabilities: npt.NDArray[np.float32]
    """float32 `[rows, labels]`, from 0 to 1."""
    labels: tuple[str, ...]
    """Name of each column. Empty where `top_k` was given: then the server named only the best."""
    server_top: tuple[RankedLabels, ...] = ()
    """What the server named, one a row, where `top_k` was given; else empty."""

    @classmethod
    def joined(
        cls, responses: Sequence[classification_pb2.ClassifyResponse], labels: tuple[str, ...], row_count: int
    ) -> "Classification":
        """Joins the answers to the parts of one call.

        Raises:
            ProtocolError: They do not fit together.
        """
        probabilities = joined_rows([response.probabilities for response in responses], row_count)
        tops = [top for response in responses for top in response.top]
        if probabilities.ndim != 2 or (labels and len(labels) != probabilities.shape[1]):
            raise ProtocolError(f"probabilities {list(probabilities.shape)} came for {len(labels)} labels")
        if tops and len(tops) != row_count:
            raise ProtocolError(f"{row_count} rows were asked about, and the best labels of {len(tops)} came back")
        server_top = tuple([(best.label, best.probability) for best in top.labels] for top in tops)
        return cls(responses[0].model, probabilities, labels, server_top)

    def __len__(self) -> int:
        return len(self.probabilities)

    def top(self, k: int) -> list[RankedLabels]:
        """Gives the k most probable labels of each row, fewer where there are fewer.

        Args:
            k: From 1; not more than `top_k` where that was given.

        Raises:
            ValueError: k is out of its range.
        """
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        if not self.labels:
            most = max((len(ranked) for ranked in self.server_top), default=0)
            if k > most:
                raise ValueError(f"only the {most} best labels were named; classify with top_k={k}, or without top_k")
            return [ranked[:k] for ranked in self.server_top]
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            [(self.labels[column], float(row[column])) for column in columns]
            for row, columns in zip(self.probabilities, order, strict=True)
        ]

    @property
    def predicted(self) -> list[str]:
        """The most probable label of each row."""
        return [ranked[0][0] for ranked in self.top(1)]


class ScoreKind(StrEnum):
    """How a score relates to log p(x)."""

    UNSPECIFIED = "UNSPECIFIED"
    """Not known."""
    EXACT = "EXACT"
    """It is log p(x)."""
    LOWER_BOUND = "LOWER_BOUND"
    """It is a lower bound of log p(x)."""
    UNNORMALIZED = "UNNORMALIZED"
    """It is log p(x) up to a constant of the version."""

    @classmethod
    def from_message(cls, message: generation_pb2.ScoreKind.ValueType) -> "ScoreKind":
        """Makes the value of a message; what a newer server may add is UNSPECIFIED."""
        return {
            generation_pb2.SCORE_KIND_EXACT: cls.EXACT,
            generation_pb2.SCORE_KIND_LOWER_BOUND: cls.LOWER_BOUND,
            generation_pb2.SCORE_KIND_UNNORMALIZED: cls.UNNORMALIZED,
        }.get(message, cls.UNSPECIFIED)


@dataclass(frozen=True, eq=False)
class Score:
    """log p(x) of each input."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    log_prob: Array
    """Natural logarithm, float32 or float64 `[rows]`."""
    kind: ScoreKind
    """What the numbers are."""
