"""Streams of samples, awaited."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from genservice.v1 import generation_pb2
from genservice_client.draw import Draw
from genservice_client.errors import CancelledError, GenserviceClientError, ProtocolError
from genservice_client.extras import require
from genservice_client.retry import Backoff, Deadline
from genservice_client.samples import SampleChunk, SampleHeader, Samples, SampleSummary
from genservice_client.status import is_replicas_own, is_transient
from genservice_client.transport import Call, Transport


class AsyncSampleStream:
    """The samples of one draw, as they come: an asynchronous iterable of chunks, to be iterated over once.

    Nothing is sent before the first chunk is asked for, or `start` is called, as a context manager does. A stream that
    is cut goes on by itself, and every sample comes once. Leaving an iteration early cancels the stream.
    """

    def __init__(self, draw: Draw, transport: Transport, *, seed: int, timeout_s: float | None) -> None:
        endpoint = transport.endpoint
        self.seed = seed
        """The seed: the one asked for, else the one that the SDK drew, so that a stream can go on from the start."""
        self._draw = draw
        self._transport = transport
        self._clock = endpoint.clock
        self._deadline = Deadline(timeout_s, self._clock)
        self._backoff = Backoff(endpoint.retry, self._deadline, self._clock)
        self._call: Call[generation_pb2.SampleResponse] | None = None
        self._started_at = self._clock.now()
        self._summary: SampleSummary | None = None
        self._received_at_failure = 0
        self._resume_count = 0
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
        while self._draw.header is None:
            self._check_not_cancelled()
            await self._advance()
        return self._draw.header

    async def read(self) -> SampleChunk | None:
        """Waits for the next chunk; None after the last.

        Raises:
            GenserviceClientError: The stream cannot go on.
        """
        while self._summary is None:
            self._check_not_cancelled()
            chunk = self._draw.take()
            if chunk is not None:
                return chunk
            if self._draw.complete and self._call is None:
                elapsed_s = self._clock.now() - self._started_at
                self._summary = SampleSummary(self._draw.received_count, elapsed_s, self._resume_count)
            else:
                await self._advance()
        return None

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
            self._leave_call()

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

    async def _advance(self) -> None:
        """Takes one step: a message of the stream, or what follows its end."""
        try:
            if await self._receive_one():
                return
            failure: GenserviceClientError = ProtocolError("the stream ended before all of its samples came")
        except GenserviceClientError as error:
            failure = error
        self._leave_call()
        self._check_not_cancelled()
        if not self._draw.request_complete:
            await self._wait_after(failure)

    async def _receive_one(self) -> bool:
        call = self._call or self._open()
        response = await call.read()
        if response is not None:
            self._draw.receive(response)
        return response is not None

    def _open(self) -> Call[generation_pb2.SampleResponse]:
        method = self._transport.stubs.generation.Sample
        call = self._transport.stream(method, self._draw.next_request(), self._deadline.left_s())
        self._call = call
        # A thread may have cancelled a `SampleStream` just before: either it sees the call, or this sees the flag.
        if self._cancelled:
            self._leave_call()
        return call

    async def _wait_after(self, failure: GenserviceClientError) -> None:
        if self._draw.received_count > self._received_at_failure:
            self._received_at_failure = self._draw.received_count
            self._backoff.reset()
        # The version was there when the stream began: where one replica does not have it, another one may.
        elsewhere = self._draw.request_pinned and is_replicas_own(failure)
        wait_s = self._backoff.after(failure, transient=elsewhere or is_transient(failure))
        self._resume_count += 1
        await self._transport.sleep(wait_s)

    def _check_not_cancelled(self) -> None:
        if self._cancelled:
            raise CancelledError("the stream was cancelled on this side")

    def _leave_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
