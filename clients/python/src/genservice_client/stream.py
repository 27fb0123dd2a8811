"""Streams of samples, awaited."""

import math
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self

from genservice_client.draw import Draw
from genservice_client.errors import CancelledError, DrawsExhaustedError
from genservice_client.extras import require
from genservice_client.filtering import FilteredDraw
from genservice_client.glimpses import SampleEvent
from genservice_client.parallel import ParallelStreams
from genservice_client.replicas import Replicas
from genservice_client.route import Route
from genservice_client.samples import SampleChunk, SampleHeader, Samples, SampleSummary
from genservice_client.source import OneStream, Source


class AsyncSampleStream:
    """The samples of one draw, as they come: an asynchronous iterable of chunks, to be iterated over once.

    Nothing is sent before the first chunk is asked for, or `start` is called, as a context manager does. A stream that
    is cut goes on by itself, and every sample comes once. Leaving an iteration early cancels the stream.
    """

    def __init__(self, draw: Draw, replicas: Replicas, route: Route, *, seed: int) -> None:
        self.seed = seed
        """The seed: the one asked for, else the one that the SDK drew, so that a stream can go on from the start."""
        self._draw = draw
        self._replicas = replicas
        self._route = route
        self._clock = replicas.endpoint.clock
        self._source: Source | None = None
        self._started_at = self._clock.now()
        self._summary: SampleSummary | None = None
        self._cancelled = False

    @property
    def header(self) -> SampleHeader:
        """What the stream is pinned to.

        Raises:
            RuntimeError: The stream has not started.
        """
        if self._draw.header is None:
            raise RuntimeError("the stream has no header yet: call start(), or read the first chunk")
        return self._draw.header

    @property
    def summary(self) -> SampleSummary | None:
        """How the stream went; None until it has ended."""
        return self._summary

    async def start(self) -> SampleHeader:
        """Waits for the header."""
        if self._draw.header is None:
            await (await self._open()).start()
        return self.header

    async def read(self) -> SampleChunk | None:
        """Waits for the next chunk; None after the last. Previews and text deltas before it are passed over.

        Raises:
            GenserviceClientError: The stream cannot go on.
        """
        while (event := await self._next()) is not None:
            if isinstance(event, SampleChunk):
                return event
        return None

    async def events(self) -> AsyncGenerator[SampleEvent, None]:
        """Iterates over all that comes: chunks, and the previews and text deltas that were asked for.

        The text of a sample, its deltas put together, comes before the sample. Leaving the iteration early cancels the
        stream.

        Raises:
            GenserviceClientError: The stream cannot go on.
        """
        try:
            while (event := await self._next()) is not None:
                yield event
        finally:
            self.cancel()

    async def all(self, *, progress: bool = False) -> Samples:
        """Collects the samples that have not been read; all of them are held in memory.

        Args:
            progress: Show a bar, with tqdm.

        Raises:
            ImportError: There is to be a bar, and tqdm is not installed.
            GenserviceClientError: The stream cannot go on.
        """
        bar: Any = require("tqdm", extra="progress").tqdm(total=self._draw.sample_count) if progress else None
        chunks = []
        try:
            while (chunk := await self.read()) is not None:
                chunks.append(chunk)
                if bar is not None:
                    bar.update(len(chunk))
        except DrawsExhaustedError as error:
            error.samples = Samples.joined(chunks) if chunks else None
            raise
        finally:
            self.cancel()
            if bar is not None:
                bar.close()
        if not chunks:
            raise RuntimeError("the stream has been read already")
        return Samples.joined(chunks)

    def cancel(self) -> None:
        """Ends the stream; whoever reads it gets a CancelledError. A stream that ended stays so.

        To be called on the event loop that reads the stream: from elsewhere by `loop.call_soon_threadsafe`.
        """
        if self._summary is None:
            self._cancelled = True
            if self._source is not None:
                self._source.cancel()

    async def close(self) -> None:
        """Ends the stream, as `cancel` does."""
        self.cancel()

    async def __aiter__(self) -> AsyncIterator[SampleChunk]:
        try:
            while (chunk := await self.read()) is not None:
                yield chunk
        finally:
            self.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _next(self) -> SampleEvent | None:
        if self._summary is not None:
            return None
        source = await self._open()
        event = await source.next()
        if event is None:
            elapsed_s = self._clock.now() - self._started_at
            self._summary = SampleSummary(
                self._draw.received_count, elapsed_s, source.resume_count, self._draw.draw_count
            )
        return event

    async def _open(self) -> Source:
        if self._source is None:
            self._check_not_cancelled()
            self._source = await self._begun()
            # A thread may have cancelled just before: either it sees the source, or this sees the flag.
            if self._cancelled:
                self._source.cancel()
        return self._source

    async def _begun(self) -> Source:
        if isinstance(self._draw, FilteredDraw):
            return OneStream(self._draw, self._route)
        replicas = await self._replicas.all()
        part_count = math.ceil(self._draw.sample_count / self._replicas.endpoint.limits.part_rows)
        if min(len(replicas), part_count) == 1:
            return OneStream(self._draw, self._route)
        first = await self._replicas.next()
        replicas = [first, *(replica for replica in replicas if replica is not first)]
        source = ParallelStreams(self._draw, self._replicas, self._route)
        # Lanes go on by themselves, so a stream that nobody holds any more has to end them.
        weakref.finalize(self, source.cancel).atexit = False
        source.begin(replicas[:part_count])
        return source

    def _check_not_cancelled(self) -> None:
        if self._cancelled:
            raise CancelledError("the stream was cancelled on this side")
