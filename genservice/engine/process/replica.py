"""A version in a worker process."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from genservice.engine.call import Batch, Results, RowEvent, Slice, moved
from genservice.engine.process import messages
from genservice.engine.process.calls import SlicePacker
from genservice.engine.process.failures import to_refusal
from genservice.engine.process.link import Link
from genservice.engine.process.rows import Packer, split
from genservice.engine.worker import StepListener, StepRan
from genservice.errors import GenserviceError
from genservice.model.options import Options


class ProcessReplica:
    """Runs a version that lives in a worker process.

    Attributes:
        on_step: Is told of each step of an iterative model.

    Args:
        link: The process.
        number: Of the version in it.
        options: What the model declares.
        numerics: As in Replica.
    """

    def __init__(self, link: Link, number: int, options: type[Options], numerics: str) -> None:
        self._link = link
        self._number = number
        self._numerics = numerics
        self._packer = SlicePacker(options)
        self._answer_row_bytes: dict[str, int] = {}
        self.on_step: StepListener = lambda step: None
        link.on_step[number] = self._stepped

    @property
    def numerics(self) -> str:
        """Fingerprint of what the bits of its results depend on."""
        return self._numerics

    @property
    def answer_row_bytes(self) -> Mapping[str, int]:
        """Bytes of one row of each verb's result; known once it is warm."""
        return self._answer_row_bytes

    async def warm_up(self) -> None:
        """Runs every batch size once, and checks the model's promises; batches of other models run in between."""
        call = await self._link.room()
        warm, _ = await self._link.ask(call, messages.WarmUp(call, self._number), messages.Warm)
        self._answer_row_bytes = warm.answer_row_bytes

    async def run(self, batch: Batch) -> Sequence[Results | GenserviceError]:
        """Runs a batch."""
        call = await self._link.room()
        packer = Packer()
        rows, counts = self._packer.batch(batch, packer)
        order = messages.Run(call, self._number, batch[0].call.verb, rows)
        ran, unpacker = await self._link.ask(call, order, messages.Ran, packer)
        results: list[Results | GenserviceError] = []
        for place, (columns, parts) in enumerate(zip(ran.results, counts, strict=True)):
            if place in ran.failures:
                results.append(to_refusal(ran.failures[place]))
            else:
                results += split(unpacker.take_results(columns, copy=len(parts) == 1), parts)
        return results

    async def draw(self, piece: Slice) -> AsyncGenerator[RowEvent, None]:
        """Draws the rows of a slice in slots."""
        call = await self._link.room()
        packer = Packer()
        order = messages.Draw(call, self._number, piece.call.verb, self._packer.piece(piece, packer))
        async with aclosing(self._link.draw(call, order, packer)) as events:
            async for event in events:
                yield moved(event, piece.start)

    async def unload(self) -> None:
        """Drops the model; what TensorFlow has taken from the system it keeps, until the process ends."""
        call = await self._link.room()
        await self._link.ask(call, messages.Unload(call, self._number), messages.Unloaded)
        self._link.on_step.pop(self._number, None)

    def _stepped(self, step: StepRan) -> None:
        self.on_step(step)
