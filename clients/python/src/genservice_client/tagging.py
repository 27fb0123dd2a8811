"""Answers of models that tag."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genservice.v1 import classification_pb2
from genservice_client.errors import ProtocolError
from genservice_client.tensors import array_from


@dataclass(frozen=True, eq=False)
class Tagging:
    """The most probable labelling of a sequence."""

    model: str
    """The version that answered, `models/{model}/versions/{n}`."""
    labels: tuple[str, ...]
    """One label a position."""
    marginals: npt.NDArray[np.float32]
    """p(label at the position | sequence), float32 `[positions, labels]`."""
    columns: tuple[str, ...]
    """Name of each column of `marginals`: the labels that the model knows."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """p(the chosen label at the position | sequence), float32 `[positions]`.

        The labels are chosen together, so one of them may be less probable at its position than another.
        """
        chosen = [self.columns.index(label) for label in self.labels]
        return np.asarray(self.marginals[np.arange(len(chosen)), chosen])


def taggings(
    responses: Sequence[classification_pb2.TagResponse], columns: tuple[str, ...], lengths: Sequence[int]
) -> list[Tagging]:
    """Joins the answers to the parts of one call.

    Args:
        responses: One a part.
        columns: The labels of the version that answered.
        lengths: Positions of each sequence that was asked about.

    Raises:
        ProtocolError: They do not fit together.
    """
    messages = [tagging for response in responses for tagging in response.taggings]
    if len(messages) != len(lengths):
        raise ProtocolError(f"{len(lengths)} sequences were asked about, and the labels of {len(messages)} came back")
    return list(_each(responses[0].model, messages, columns, lengths))


def _each(
    model: str, messages: Sequence[classification_pb2.Tagging], columns: tuple[str, ...], lengths: Sequence[int]
) -> Iterator[Tagging]:
    for message, length in zip(messages, lengths, strict=True):
        marginals = array_from(message.marginals)
        if len(message.labels) != length or marginals.shape != (length, len(columns)):
            raise ProtocolError(
                f"a sequence of {length} positions was tagged; {len(message.labels)} labels and marginals "
                f"{list(marginals.shape)} came, of {len(columns)} labels"
            )
        if not set(message.labels) <= set(columns):
            raise ProtocolError(f"labels came that {model} does not have")
        yield Tagging(model, tuple(message.labels), marginals, columns)
