"""Where models run. The engine sees a worker; whether that is a thread or a process is its own affair."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genservice.engine.call import Batch, Results, RowEvent, Slice
from genservice.errors import GenserviceError
from genservice.model.base import Model
from genservice.store.manifest import Serving


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Which version to load, and how to run it.

    Args:
        model: The model, made from the version's config and not yet loaded.
        directory: The version's folder.
        serving: Batch sizes, and whether to compile.
    """

    model: Model
    directory: Path
    serving: Serving


@dataclass(frozen=True, slots=True)
class StepRan:
    """One step of an iterative model.

    Args:
        rows: Live rows.
        padded_rows: Slots that were computed.
        run_s: Seconds that it took.
    """

    rows: int
    padded_rows: int
    run_s: float


StepListener = Callable[[StepRan], None]
"""Is told of each step; called on the event loop, so it must be quick and may not raise."""


class Replica(Protocol):
    """A version in a worker.

    Where the worker dies, what is under way raises WorkerLost, and so does all that is asked for later.

    Attributes:
        on_step: Is told of each step of an iterative model; to be set by the owner.
    """

    on_step: StepListener

    @property
    def numerics(self) -> str:
        """Fingerprint of what the bits of its results depend on."""

    @property
    def answer_row_bytes(self) -> Mapping[str, int]:
        """Bytes of one row of each verb's result; known once it is warm."""

    async def warm_up(self) -> None:
        """Runs every batch size once, and checks the model's promises.

        Raises:
            PluginError: The model breaks one.
        """

    async def run(self, batch: Batch) -> Sequence[Results | GenserviceError]:
        """Runs a batch.

        Returns:
            The results of each slice; an error in the place of one whose own fault is known.

        Raises:
            GenserviceError: The request is at fault.
            WorkerLost: The worker is gone.
            Exception: The model's code raised.
        """

    def draw(self, piece: Slice) -> AsyncGenerator[RowEvent, None]:
        """Draws the rows of a slice of an iterative model, in slots that they share with others.

        The rows wait in the worker until slots are free. Closing the generator frees the slots within two steps.

        Yields:
            What happens to each row; it ends when all are done.

        Raises:
            WorkerLost: The worker is gone.
            Exception: The model's code raised.
        """

    async def unload(self) -> None:
        """Gives back what the version holds."""


class Worker(Protocol):
    """Something that versions run in."""

    @property
    def lost(self) -> "asyncio.Future[str]":
        """Done when the worker has ended without being told to, with the reason; known once it has started."""

    @property
    def resident_bytes(self) -> int:
        """Memory that the worker's process holds; 0 where it is this process."""

    async def start(self) -> None:
        """Makes the worker able to load.

        Raises:
            WorkerLost: It died while it started.
        """

    async def load(self, request: LoadRequest) -> Replica:
        """Reads a version's weights."""

    async def close(self) -> None:
        """Ends the worker, without waiting for calls that hang."""
