"""Samples of a draw from several replicas at once."""

from collections.abc import Sequence
from typing import Literal

from genservice_client.asked import Asked
from genservice_client.draw import Draw
from genservice_client.errors import CancelledError, DeadlineExceededError, GenserviceClientError, ProtocolError
from genservice_client.glimpses import SampleEvent
from genservice_client.lanes import Lane, Lanes
from genservice_client.parts import Parts
from genservice_client.replicas import Replica, Replicas
from genservice_client.route import Route

LOOK_AGAIN_S = 0.25
"""A free lane looks this often whether another one has become a straggler: time alone makes it one."""
OPENING_S = 5.0
"""Seconds after which a replica that was asked first and says nothing is not waited for any more."""
LEAST_PAUSE_S = 0.001
"""A shorter wait for the consumer is none."""


class ParallelStreams:
    """Reads a draw from all replicas, a part at each.

    Each replica has a lane: a coroutine that takes a part, reads it, and takes the next. What lanes share is changed
    inside of the monitor alone. The first part is read by itself, until it is known what the draw is pinned to. A lane
    whose replica fails gives its part back, rests, and tries again for as long as others go on.

    Args:
        draw: What is drawn.
        replicas: Where from.
        route: Says until when, and with which metadata.
    """

    def __init__(self, draw: Draw, replicas: Replicas, route: Route) -> None:
        endpoint, limits = replicas.endpoint, replicas.endpoint.limits
        self.resume_count = 0
        self._draw = draw
        self._replicas = replicas
        self._deadline = route.deadline
        self._metadata = route.metadata
        self._clock = endpoint.clock
        self._runtime = replicas.runtime
        self._monitor = replicas.runtime.monitor()
        self._parts = Parts(draw, part_rows=limits.part_rows, read_ahead_bytes=limits.read_ahead_bytes)
        self._lanes = Lanes(endpoint.retry, route.deadline, endpoint.clock)
        self._began = self._clock.now()
        self._failure: Exception | None = None
        self._cancelled = False
        self._stopped = False

    def begin(self, replicas: Sequence[Replica]) -> None:
        """Begins a lane for each replica that has none."""
        with self._monitor:
            begun = [lane for replica in replicas if (lane := self._lanes.add(replica))]
        for lane in begun:
            self._runtime.spawn(self._run(lane))

    async def next(self) -> SampleEvent | None:
        """As `Source.next`."""
        given = await self._until_given()
        return None if given is True else given

    async def start(self) -> None:
        """As `Source.start`."""
        await self._monitor.until(self._has_begun)

    def cancel(self) -> None:
        """As `Source.cancel`."""
        with self._monitor:
            self._cancelled = True
            self._stop()

    async def _until_given(self) -> SampleEvent | Literal[True]:
        try:
            given: SampleEvent | Literal[True] | None = None
            while given is None:
                given = await self._monitor.until(self._give, self._deadline.left_s())
        except DeadlineExceededError:
            with self._monitor:
                self._stop()
            raise
        return given

    def _give(self) -> SampleEvent | Literal[True] | None:
        """Gives what comes next; True: that was all; None: nothing yet."""
        if self._cancelled:
            raise CancelledError("the stream was cancelled on this side")
        event = self._draw.take()
        if event is not None:
            self._monitor.notify()
            return event
        if self._draw.complete:
            self._stop()
            return True
        if self._failure is not None:
            raise self._failure
        return None

    def _has_begun(self) -> bool | None:
        if self._cancelled:
            raise CancelledError("the stream was cancelled on this side")
        if self._failure is not None:
            raise self._failure
        return True if self._draw.header is not None else None

    def _stop(self) -> None:
        """Ends all streams but those whose end is all that is to come."""
        self._stopped = True
        for lane in self._lanes:
            if lane.call is not None and not lane.finishing:
                lane.call.cancel()
        self._monitor.notify()

    async def _run(self, lane: Lane) -> None:
        try:
            while asked := await self._part(lane):
                failure = await self._read(lane, asked)
                if (wait_s := self._settle(lane, failure)) > 0:
                    await self._rest(lane, wait_s)
        # Whatever ends a lane is the consumer's to know: nobody else waits for it.
        except Exception as error:  # noqa: BLE001
            with self._monitor:
                self._failure = self._failure or error
                self._stop()

    async def _part(self, lane: Lane) -> Asked | Literal[False]:
        """Waits for the next part; False: there will be none."""
        asked: Asked | Literal[False] | None = None
        while asked is None:
            asked = await self._monitor.until(lambda: self._take(lane), LOOK_AGAIN_S)
        return asked

    def _take(self, lane: Lane) -> Asked | Literal[False] | None:
        if self._stopped or self._draw.complete or lane not in self._lanes or lane.left_out:
            return False
        now = self._clock.now()
        if self._draw.header is None and lane is not self._lanes.opener and now < self._began + OPENING_S:
            return None
        part = self._parts.take(lane, now, readers=self._lanes.working)
        if part is None:
            return None
        lane.asked = self._draw.ask(*part)
        self._parts.shorten(lane, lane.asked.end)
        return lane.asked

    async def _read(self, lane: Lane, asked: Asked) -> GenserviceClientError | None:
        """Reads a part, until it has come or cannot come from here."""
        transport = lane.replica.transport
        call = None
        try:
            method, left_s = transport.stubs.generation.Sample, self._deadline.left_s()
            call = lane.call = transport.stream(method, asked.request, left_s, self._metadata)
            while await self._may_read(lane):
                response = await call.read()
                with self._monitor:
                    if response is None:
                        raise ProtocolError("the stream ended before all of its samples came")
                    before = self._draw.received_count
                    asked.receive(response)
                    if self._draw.received_count > before:
                        self._progress(lane, asked)
                    self._monitor.notify()
        except GenserviceClientError as error:
            with self._monitor:
                # A stream that has given all, or was cancelled because others were faster, has not failed.
                return None if self._parts.done(lane) else error
        finally:
            with self._monitor:
                lane.call, lane.finishing = None, False
            if call is not None:
                call.cancel()
        return None

    async def _may_read(self, lane: Lane) -> bool:
        began = self._clock.now()
        allowed = await self._monitor.until(lambda: self._allows(lane))
        paused_s = self._clock.now() - began
        if paused_s > LEAST_PAUSE_S:
            with self._monitor:
                self._parts.pause(lane, paused_s)
        return bool(allowed)

    def _allows(self, lane: Lane) -> bool | None:
        if lane.finishing:
            return True
        if self._stopped or self._parts.done(lane):
            return False
        return self._parts.may_read(lane)

    def _progress(self, lane: Lane, asked: Asked) -> None:
        self._lanes.progress(lane)
        lane.finishing = asked.complete
        for other in self._lanes:
            if other is not lane and other.call and not other.finishing and self._parts.done(other):
                other.call.cancel()

    def _settle(self, lane: Lane, failure: GenserviceClientError | None) -> float:
        """Takes down how a part went, and gives the seconds to rest.

        Raises:
            GenserviceClientError: The draw cannot go on.
        """
        with self._monitor:
            self._parts.release(lane, self._clock.now())
            self._monitor.notify()
            if failure is None:
                self._replicas.answered(lane.replica)
            if failure is None or self._stopped:
                return 0.0
            self.resume_count += 1
            self._replicas.failed(lane.replica)
            return self._lanes.failed(lane, failure)

    async def _rest(self, lane: Lane, seconds: float) -> None:
        """Looks where the replicas are now, and waits."""
        replicas = await self._replicas.all()
        self.begin(replicas)
        with self._monitor:
            if lane.replica not in replicas:
                self._lanes.remove(lane)
                self._lanes.check()
                return
        await self._monitor.until(lambda: True if self._stopped else None, seconds)
