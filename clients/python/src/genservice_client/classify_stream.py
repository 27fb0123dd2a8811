"""Classification of inputs as they come."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from genservice.v1 import classification_pb2
from genservice_client.errors import GenserviceClientError, ProtocolError
from genservice_client.route import Route
from genservice_client.transport import DuplexCall

Ask = classification_pb2.StreamClassifyRequest
Answer = classification_pb2.StreamClassifyResponse


async def answers(
    route: Route, requests: AsyncIterator[Ask], *, in_flight: int
) -> AsyncGenerator[tuple[Ask, Answer], None]:
    """Gives each request with its answer, in order. After a cut, the requests without an answer are sent again.

    Args:
        route: Whom to ask, and until when.
        requests: What to ask.
        in_flight: Requests that may be without an answer, 1 or more; they are held in memory.

    Raises:
        GenserviceClientError: The stream cannot go on.
    """
    window = _Window(route)
    try:
        while True:
            while window.open and len(window.unanswered) < in_flight:
                window.send(await anext(requests, None))
            if not window.unanswered:
                return
            try:
                answer = await window.read()
            except GenserviceClientError as error:
                window.leave()
                await route.wait_after(error)
                continue
            route.progress()
            yield window.unanswered.popleft(), answer
    finally:
        window.leave()


class _Window:
    """The requests without an answer, and the call that they were sent on."""

    def __init__(self, route: Route) -> None:
        self.unanswered: deque[Ask] = deque()
        self.open = True
        self._route = route
        self._call: DuplexCall[Ask, Answer] | None = None

    def send(self, request: Ask | None) -> None:
        """Sends the next request; None: there are no more."""
        if request is None:
            self.open = False
        else:
            self.unanswered.append(request)
        if self._call is not None:
            self._call.write(request)

    async def read(self) -> Answer:
        """Waits for the next answer, on a new call where there is none."""
        if self._call is None:
            self._call = await self._route.duplex(lambda stubs: stubs.classification.StreamClassify)
            for request in self.unanswered:
                self._call.write(request)
            if not self.open:
                self._call.write(None)
        answer = await self._call.read()
        if answer is None:
            raise ProtocolError("the stream ended before all answers came")
        return answer

    def leave(self) -> None:
        """Ends the call."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
