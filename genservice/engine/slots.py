"""The slots of an iterative model: rows join and leave at any step.

Iteration-level scheduling (Yu et al., "Orca: a distributed serving system for transformer-based generative models",
OSDI 2022, section 3), for every iterative generator.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Call, RowDone, RowEvent, RowPreview, Slice
from genservice.engine.text import GrowingText
from genservice.engine.worker import StepRan
from genservice.errors import PluginError
from genservice.model.base import IterativeGenerator, TextGenerator
from genservice.model.noise import words


class Joining(StrEnum):
    """When rows may join those that are being drawn."""

    ANY_STEP = "ANY_STEP"
    """At every step: what the engine does."""
    WHOLE_BATCH = "WHOLE_BATCH"
    """When all have left, and slots that fall free are computed on: what is measured against."""
    SHRINKING_BATCH = "SHRINKING_BATCH"
    """When all have left, and slots that fall free are not computed: what is measured against, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What one turn of the slots brought.

    Args:
        events: What happened to which draw's rows.
        ran: The step; None where there was none to make.
    """

    events: Sequence[tuple[object, RowEvent]]
    ran: StepRan | None


@dataclass(slots=True, eq=False)
class _Row:
    draw: object
    call: Call
    number: int
    step: int = 0
    text: GrowingText | None = None

    @property
    def place(self) -> Slice:
        return Slice(self.call, self.number, self.number + 1)


@dataclass(slots=True, eq=False)
class Slots:
    """The live rows of one version, in a dense prefix of the slots, and the rows that wait for a slot.

    `add` and `remove` may be called while a turn runs in another thread; they take effect at the next.

    Args:
        model: The model, loaded.
        functions: Its steps, as functions of arrays.
        sizes: The sizes that a step runs at, ascending; the last is the number of slots.
        joining: When rows may join.
    """

    model: IterativeGenerator
    functions: "SlotFunctions"
    sizes: Sequence[int]
    joining: Joining = Joining.ANY_STEP
    _live: list[_Row | None] = field(default_factory=list)
    _waiting: deque[_Row] = field(default_factory=deque)
    _arrived: deque[_Row] = field(default_factory=deque)
    _removed: deque[object] = field(default_factory=deque)
    _seeds: NDArray[np.uint32] = field(init=False)
    _indexes: NDArray[np.uint32] = field(init=False)
    _steps: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        self._seeds = np.zeros((self.sizes[-1], 2), np.uint32)
        self._indexes = np.zeros((self.sizes[-1], 2), np.uint32)
        self._steps = np.zeros(self.sizes[-1], np.uint32)

    @property
    def busy(self) -> bool:
        """Whether there are rows that live or wait."""
        return bool(self._waiting or self._arrived) or self._rows() > 0

    def add(self, piece: Slice, draw: object) -> None:
        """Lets the rows of a slice wait for slots.

        Args:
            piece: The rows.
            draw: What their events are told with.
        """
        stop: Sequence[str] = getattr(piece.call.options, "stop", ())
        for number in range(piece.start, piece.stop):
            text = None
            if isinstance(self.model, TextGenerator):
                text = GrowingText(number, self.model.detokenize, stop)
            self._arrived.append(_Row(draw, piece.call, number, text=text))

    def remove(self, draw: object) -> None:
        """Gives up the rows of a draw: those that wait never enter, and the slots of the others fall free."""
        self._removed.append(draw)

    def clear(self) -> set[object]:
        """Gives up every row that lives; those that wait stay.

        Returns:
            The draws whose rows they were.
        """
        draws = {row.draw for row in self._live if row is not None}
        self._live.clear()
        self._removed.extend(draws)
        return draws

    def turn(self) -> Turn:
        """Frees the slots of removed rows, lets waiting rows enter, makes one step, and takes out rows that are done.

        Raises:
            Exception: The model's code raised; the live rows are not what they were.
        """
        started = time.perf_counter()
        self._drop_removed()
        self._enter()
        if self.joining is not Joining.WHOLE_BATCH:
            self._close_gaps()
        rows, slots = self._rows(), len(self._live)
        if not rows:
            self._live.clear()
            return Turn((), None)
        size = self._size(slots)
        self._steps[:slots] += 1
        done, tokens = self.functions.step(size, self._seeds[:size], self._indexes[:size], self._steps[:size])
        if len(done) != size:
            raise PluginError(f"`step` returned {len(done)} rows for {size} slots.")
        events = self._told(done, tokens)
        return Turn(events, StepRan(rows, size, time.perf_counter() - started))

    def _rows(self) -> int:
        return len(self._live) - self._live.count(None)

    def _drop_removed(self) -> None:
        while self._arrived:
            self._waiting.append(self._arrived.popleft())
        if not self._removed:
            return
        removed = set()
        while self._removed:
            removed.add(self._removed.popleft())
        self._waiting = deque(row for row in self._waiting if row.draw not in removed)
        self._live = [None if row is not None and row.draw in removed else row for row in self._live]

    def _enter(self) -> None:
        """Writes waiting rows into free slots, those between live rows first."""
        free = [slot for slot, row in enumerate(self._live) if row is None]
        if self.joining is not Joining.ANY_STEP:
            if len(free) < len(self._live):
                return
            self._live.clear()
            free = []
        free += range(len(self._live), self.sizes[-1])
        slots = free[: len(self._waiting)]
        if not slots:
            return
        rows = [self._waiting.popleft() for _ in slots]
        self._live += [None] * (max(slots) + 1 - len(self._live))
        for slot, row in zip(slots, rows, strict=True):
            self._live[slot] = row
        places = _padded(slots, self._size(len(slots)))
        self._seeds[slots] = words([row.call.seed for row in rows])
        self._indexes[slots] = words([row.call.first_index + row.number for row in rows])
        self._steps[slots] = 0
        self.functions.enter(places, self._seeds[places], self._indexes[places], [row.place for row in rows])

    def _close_gaps(self) -> None:
        """Moves the last rows into the slots that stayed free, so that the live rows are a dense prefix."""
        rows = self._rows()
        targets = [slot for slot in range(rows) if self._live[slot] is None]
        sources = [slot for slot in range(rows, len(self._live)) if self._live[slot] is not None]
        if sources:
            self.functions.move(np.array(sources, np.int32), np.array(targets, np.int32))
            for array in (self._seeds, self._indexes, self._steps):
                array[targets] = array[sources]
            for source, target in zip(sources, targets, strict=True):
                self._live[target] = self._live[source]
        del self._live[rows:]

    def _told(self, done: NDArray[np.bool_], tokens: NDArray[np.int32] | None) -> list[tuple[object, RowEvent]]:
        """What the step did to each row; the slots of rows that are done fall free."""
        events: list[tuple[object, RowEvent]] = []
        ended: dict[int, _Row] = {}
        previewed: dict[int, _Row] = {}
        for slot, row in enumerate(self._live):
            if row is None:
                continue
            row.step += 1
            if row.text is not None and tokens is not None and tokens[slot] >= 0:
                row.text.add(int(tokens[slot]))
            last = bool(done[slot]) or (row.text is not None and row.text.stopped)
            if last:
                ended[slot] = row
                self._live[slot] = None
            elif row.call.preview_steps and row.step % row.call.preview_steps == 0:
                previewed[slot] = row
            if row.text is not None and row.call.text_deltas and (delta := row.text.delta(last=last)):
                events.append((row.draw, delta))
        samples = self._samples([*ended, *previewed])
        for slot, row in ended.items():
            sample = [row.text.text] if row.text is not None else samples[slot]
            events.append((row.draw, RowDone(row.number, {"samples": sample})))
        for slot, row in previewed.items():
            events.append((row.draw, RowPreview(row.number, row.step, {"samples": samples[slot]})))
        return events

    def _samples(self, slots: Sequence[int]) -> Mapping[int, NDArray[Any]]:
        """The samples of slots, each with a row dimension of 1; none for texts, which are not in the slots."""
        if isinstance(self.model, TextGenerator) or not slots:
            return {}
        samples = self.functions.finish(_padded(slots, self._size(len(slots))))
        return {slot: samples[place : place + 1].copy() for place, slot in enumerate(slots)}

    def _size(self, rows: int) -> int:
        return next(size for size in self.sizes if size >= rows)


class SlotFunctions(Protocol):
    """The steps of an iterative model as functions of arrays."""

    def enter(
        self, slots: NDArray[np.int32], seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], batch: Sequence[Slice]
    ) -> None:
        """Writes the rows of a batch, padded to as many as there are slots, into these slots."""

    def step(
        self, size: int, seeds: NDArray[np.uint32], indexes: NDArray[np.uint32], steps: NDArray[np.uint32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32] | None]:
        """Makes a step of the first slots: which rows are done and, for texts, the tokens that they got."""

    def finish(self, slots: NDArray[np.int32]) -> NDArray[Any]:
        """The samples of slots."""

    def move(self, sources: NDArray[np.int32], targets: NDArray[np.int32]) -> None:
        """Copies the rows of slots into other slots."""


def _padded(slots: Sequence[int], size: int) -> NDArray[np.int32]:
    """Slots, the last of them repeated up to a size."""
    return np.array([*slots, *[slots[-1]] * (size - len(slots))], np.int32)
