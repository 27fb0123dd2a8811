"""Streams of samples, without asyncio."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from genservice_client.glimpses import SampleEvent
from genservice_client.samples import SampleChunk, SampleHeader, Samples, SampleSummary
from genservice_client.stream import AsyncSampleStream
from genservice_client.transport import run, run_each


class SampleStream:
    """The samples of one draw, as they come: an iterable of chunks, to be iterated over once.

    Nothing is sent before the first chunk is asked for, or `start` is called, as a context manager does. A stream that
    is cut goes on by itself, and every sample comes once. Leaving an iteration early cancels the stream.
    """

    def __init__(self, stream: AsyncSampleStream) -> None:
        self._stream = stream

    @property
    def seed(self) -> int:
        """The seed: the one asked for, else the one that the SDK drew, so that a stream can go on from the start."""
        return self._stream.seed

    @property
    def header(self) -> SampleHeader:
        """What the stream is pinned to.

        Raises:
            RuntimeError: The stream has not started.
        """
        return self._stream.header

    @property
    def summary(self) -> SampleSummary | None:
        """How the stream went; None until it has ended."""
        return self._stream.summary

    def start(self) -> SampleHeader:
        """Waits for the header."""
        return run(self._stream.start())

    def read(self) -> SampleChunk | None:
        """Waits for the next chunk; None after the last. Previews and text deltas before it are passed over.

        Raises:
            GenserviceClientError: The stream cannot go on.
        """
        return run(self._stream.read())

    def events(self) -> Iterator[SampleEvent]:
        """Iterates over all that comes: chunks, and the previews and text deltas that were asked for.

        The text of a sample, its deltas put together, comes before the sample. Leaving the iteration early cancels the
        stream.

        Raises:
            GenserviceClientError: The stream cannot go on.
        """
        return run_each(self._stream.events())

    def all(self, *, progress: bool = False) -> Samples:
        """Collects the samples that have not been read; all of them are held in memory.

        Args:
            progress: Show a bar, with tqdm.

        Raises:
            ImportError: There is to be a bar, and tqdm is not installed.
            GenserviceClientError: The stream cannot go on.
        """
        return run(self._stream.all(progress=progress))

    def cancel(self) -> None:
        """Ends the stream, from any thread; whoever reads it gets a CancelledError. A stream that ended stays so."""
        self._stream.cancel()

    def close(self) -> None:
        """Ends the stream, as `cancel` does."""
        self._stream.cancel()

    def __iter__(self) -> Iterator[SampleChunk]:
        try:
            while (chunk := self.read()) is not None:
                yield chunk
        finally:
            self.cancel()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
