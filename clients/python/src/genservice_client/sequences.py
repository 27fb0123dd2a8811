"""Sequences as inputs, and their labellings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy.typing as npt

from genservice.v1 import classification_pb2, types_pb2
from genservice_client.row_values import RowValues

SequencesLike: TypeAlias = Sequence[npt.ArrayLike] | Sequence[Sequence[str]]
"""One sequence an entry: an array `[positions, ...]`, or a list of strings, one token a position."""
LabellingsLike: TypeAlias = Sequence[Sequence[str]]
"""One labelling an entry: a label a position."""


@dataclass(frozen=True)
class SequenceValues:
    """Sequences, and the labelling of each where there are any."""

    sequences: tuple[RowValues, ...]
    """Of each sequence its positions."""
    labellings: tuple[RowValues, ...] = ()
    """Of each sequence its labels; empty where they are not given."""

    @classmethod
    def of(cls, sequences: SequencesLike, labellings: LabellingsLike | None = None) -> "SequenceValues":
        """Takes the arguments.

        Raises:
            TypeError: A sequence is one string, or is neither numbers nor strings.
            ValueError: There is no sequence, one has no position, or a labelling does not fit to its sequence.
        """
        taken = _each(sequences, "sequences")
        if labellings is None:
            return cls(taken)
        labels = _each(labellings, "labellings")
        if len(labels) != len(taken):
            raise ValueError(f"there are {len(labels)} labellings for {len(taken)} sequences")
        for place, (sequence, labelling) in enumerate(zip(taken, labels, strict=True)):
            labelling.strings()
            if len(labelling) != len(sequence):
                raise ValueError(
                    f"labellings[{place}] has {len(labelling)} labels for the {len(sequence)} positions of its sequence"
                )
        return cls(taken, labels)

    def __len__(self) -> int:
        return len(self.sequences)

    def parts(self, *, max_rows: int, max_bytes: int) -> Iterator["SequenceValues"]:
        """Splits the sequences, in order, into parts within both limits; one too large for them goes alone."""
        longest = max(len(positions) * positions.row_bytes for positions in self.sequences)
        labels = max((len(labelling) * labelling.row_bytes for labelling in self.labellings), default=0)
        step = max(1, min(max_rows, max_bytes // (longest + labels)))
        for start in range(0, len(self), step):
            yield SequenceValues(self.sequences[start : start + step], self.labellings[start : start + step])

    def messages(self) -> list[classification_pb2.Sequence]:
        """Makes the messages of the sequences."""
        return [_message(positions) for positions in self.sequences]

    def labelling_messages(self) -> list[types_pb2.StringRows]:
        """Makes the messages of the labellings."""
        return [labelling.strings() for labelling in self.labellings]


def _each(values: SequencesLike, name: str) -> tuple[RowValues, ...]:
    if isinstance(values, str):
        raise TypeError(f"{name} is a string; give a list of sequences, each a list of strings or an array")
    if len(values) == 0:
        raise ValueError(f"{name} is empty; it needs one sequence or more")
    return tuple(_positions(value, f"{name}[{place}]") for place, value in enumerate(values))


def _positions(value: npt.ArrayLike, name: str) -> RowValues:
    if isinstance(value, str):
        raise TypeError(f"{name} is a string; give a list of strings, one a position")
    positions = RowValues.of(value, name)
    if positions.is_images:
        raise TypeError(f"{name} has image files; give an array, or a list of strings, one a position")
    return positions


def _message(positions: RowValues) -> classification_pb2.Sequence:
    if positions.is_numbers:
        return classification_pb2.Sequence(tensor=positions.tensor())
    return classification_pb2.Sequence(tokens=positions.strings())
