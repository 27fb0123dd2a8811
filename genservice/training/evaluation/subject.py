"""What is measured: a served model, whether in this process or behind a server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from genservice.model.options import OptionScalar
from genservice.model.specs import TensorSpec

CALL_ROWS = 1000
"""Rows that are asked about at a time."""

Advance = Callable[[int], None]
"""Told of rows that are done."""

Rows = NDArray[Any] | list[str]
"""Rows of an event: an array with a leading row dimension, or texts."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a version offers.

    Args:
        name: Resource name of the version.
        verbs: What can be asked of it.
        labels: Names of its classes.
        options: Names of its options.
        event: One row.
        threshold: Of a model that compares: inputs whose embeddings are closer are the same.
        most_tokens: Of a model of text: the most tokens of one; 0: not known.
        card: Its card, as Markdown.
    """

    name: str
    verbs: tuple[str, ...]
    labels: tuple[str, ...]
    options: tuple[str, ...]
    event: TensorSpec
    threshold: float = 0.0
    most_tokens: int = 0
    card: str = ""

    @property
    def is_text(self) -> bool:
        """Whether an event is a text."""
        return self.event.dtype == "string"

    @property
    def is_image(self) -> bool:
        """Whether an event is a picture: `[height, width, channels]`."""
        return len(self.event.shape) == 3 and self.event.shape[-1] in (1, 3)


class Subject(Protocol):
    """A version that answers. Each method asks for many rows in several calls, and tells of those that are done."""

    @property
    def offer(self) -> Offer:
        """What it offers."""

    async def draw(
        self, sample_count: int, *, seed: int, first_index: int, options: Mapping[str, OptionScalar], advance: Advance
    ) -> Rows:
        """Draws samples: `[sample_count, *event.shape]`, or texts."""

    async def ask(self, verb: str, rows: Rows, advance: Advance) -> NDArray[Any]:
        """Classifies or embeds rows: `[rows, ...]`, the verb's result."""

    async def score(self, rows: Rows, advance: Advance) -> tuple[NDArray[Any], str]:
        """Gives log p(x) of rows, float `[rows]`, and the kind of these scores, such as `EXACT`."""

    async def tag(self, sequences: Sequence[Rows], advance: Advance) -> list[list[str]]:
        """Gives the name of a label for each position of sequences."""

    async def score_labellings(
        self, sequences: Sequence[Rows], labellings: Sequence[Sequence[str]], advance: Advance
    ) -> tuple[NDArray[Any], str]:
        """Gives log p(labelling | sequence), float `[rows]`, and the kind of these scores."""


def in_parts(rows: Any, advance: Advance) -> Iterator[Any]:
    """Cuts rows into parts that are asked about at a time; a part is done when the next is asked for."""
    for start in range(0, len(rows), CALL_ROWS):
        part = rows[start : start + CALL_ROWS]
        yield part
        advance(len(part))
