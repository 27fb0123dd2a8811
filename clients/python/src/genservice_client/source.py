"""Where the samples of a draw come from: one replica after another."""

from typing import Protocol

from genservice.v1 import generation_pb2
from genservice_client.asked import Asked
from genservice_client.draw import Draw
from genservice_client.errors import CancelledError, DrawsExhaustedError, GenserviceClientError, ProtocolError
from genservice_client.glimpses import SampleEvent
from genservice_client.route import Route
from genservice_client.status import is_replicas_own, is_transient
from genservice_client.transport import Call


class Source(Protocol):
    """Reads the streams of a draw."""

    resume_count: int
    """How often a stream was cut and the draw went on."""

    async def next(self) -> SampleEvent | None:
        """Waits for what comes next; None: that was all.

        Raises:
            GenserviceClientError: The draw cannot go on.
        """

    async def start(self) -> None:
        """Waits for the draw's header."""

    def cancel(self) -> None:
        """Ends all streams; whoever waits gets a CancelledError. From any thread, where the runtime has threads."""


class OneStream:
    """Reads one stream at a time.

    Args:
        draw: What is drawn.
        route: Where from.
    """

    def __init__(self, draw: Draw, route: Route) -> None:
        self.resume_count = 0
        self._draw = draw
        self._route = route
        self._asked: Asked | None = None
        self._call: Call[generation_pb2.SampleResponse] | None = None
        self._drawn_at_failure = 0
        self._cancelled = False

    async def next(self) -> SampleEvent | None:
        """As `Source.next`."""
        while True:
            self._check_not_cancelled()
            event = self._draw.take()
            if event is not None or (self._draw.complete and self._call is None):
                return event
            await self._advance()

    async def start(self) -> None:
        """As `Source.start`."""
        while self._draw.header is None:
            self._check_not_cancelled()
            await self._advance()

    def cancel(self) -> None:
        """As `Source.cancel`."""
        self._cancelled = True
        self._leave_call()

    async def _advance(self) -> None:
        """Takes one step: a message of the stream, or what follows its end."""
        try:
            if await self._receive_one():
                return
            failure: GenserviceClientError = ProtocolError("the stream ended before all of its samples came")
        except DrawsExhaustedError as error:
            self._leave_call()
            raise self._draw.exhausted() from error
        except GenserviceClientError as error:
            failure = error
        self._leave_call()
        self._check_not_cancelled()
        if self._asked is None or not self._asked.complete:
            await self._wait_after(failure)

    async def _receive_one(self) -> bool:
        if self._call is None or self._asked is None:
            self._asked = self._draw.ask_next()
            self._call = await self._route.stream(lambda stubs: stubs.generation.Sample, self._asked.request)
            # A thread may have cancelled just before: either it sees the call, or this sees the flag.
            if self._cancelled:
                self._leave_call()
                self._check_not_cancelled()
        response = await self._call.read()
        if response is not None:
            self._asked.receive(response)
        return response is not None

    async def _wait_after(self, failure: GenserviceClientError) -> None:
        if self._draw.draw_count > self._drawn_at_failure:
            self._drawn_at_failure = self._draw.draw_count
            self._route.progress()
        # The version was there when the draw began: where one replica does not have it, another one may.
        elsewhere = self._asked is not None and self._asked.pinned and is_replicas_own(failure)
        await self._route.wait_after(failure, transient=elsewhere or is_transient(failure))
        self.resume_count += 1

    def _check_not_cancelled(self) -> None:
        if self._cancelled:
            raise CancelledError("the stream was cancelled on this side")

    def _leave_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
