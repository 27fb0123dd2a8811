"""The replicas of a service: where they are, and which of them answer."""

import threading
import weakref
from collections.abc import Collection, Sequence

from genservice_client.endpoint import Address, addresses_of, name_in
from genservice_client.errors import ClientClosedError
from genservice_client.transport import Runtime, Transport

LOOKUP_EVERY_S = 30.0
"""Names are looked up again after so many seconds, when they are next needed: replicas may have been added."""
LOOKUP_AGAIN_S = 1.0
"""After a loss they are looked up at once, but not more often than this."""


class Replica:
    """One server, or what gRPC takes for one.

    Attributes:
        address: Where it is.
        transport: Makes calls to it.
        failures: Calls in a row that failed there.
        rests_until: The clock's time before which others are asked first.
    """

    def __init__(self, address: Address, transport: Transport) -> None:
        self.address = address
        self.transport = transport
        self.failures = 0
        self.rests_until = 0.0


class Replicas:
    """All replicas of a client's target. Threads may share it.

    Args:
        runtime: How to connect and to look names up.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.endpoint = runtime.endpoint
        self._clock = self.endpoint.clock
        self._lock = threading.Lock()
        self._known: tuple[Replica, ...] = ()
        self._connected: weakref.WeakSet[Transport] = weakref.WeakSet()
        self._turn = 0
        self._next_lookup = 0.0
        self._lookup_allowed = 0.0
        self._closed = False

    async def all(self) -> Sequence[Replica]:
        """Gives all replicas, those first whose turn it is.

        Raises:
            ClientClosedError: The client was closed.
        """
        await self._look_up()
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed")
            return self._by_turn(())

    async def next(self, but: Collection[Replica] = ()) -> Replica:
        """Gives the replica whose turn it is to be asked.

        Args:
            but: Those that are asked only where there is no other.

        Raises:
            ClientClosedError: The client was closed.
        """
        await self._look_up()
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed")
            chosen = self._by_turn(but)[0]
            self._turn = self._known.index(chosen) + 1
            return chosen

    def untried(self, tried: Collection[Replica]) -> bool:
        """Says whether there is a replica that has not been tried."""
        return any(replica not in tried for replica in self._known)

    def failed(self, replica: Replica) -> None:
        """Takes down that a call failed which may succeed elsewhere: the replica rests for a while."""
        with self._lock:
            now = self._clock.now()
            replica.failures += 1
            replica.rests_until = now + self.endpoint.retry.backoff_s(replica.failures, self._clock.random())
            self._next_lookup = min(self._next_lookup, max(now, self._lookup_allowed))

    def answered(self, replica: Replica) -> None:
        """Takes down that a replica works."""
        replica.failures = 0
        replica.rests_until = 0.0

    async def close(self) -> None:
        """Ends all calls and closes the connections."""
        with self._lock:
            self._closed = True
            connected = list(self._connected)
        for transport in connected:
            await transport.close()

    def _by_turn(self, but: Collection[Replica]) -> Sequence[Replica]:
        now = self._clock.now()
        turn = self._turn % len(self._known)
        in_turn = self._known[turn:] + self._known[:turn]
        return sorted(in_turn, key=lambda replica: (replica in but, max(replica.rests_until, now)))

    async def _look_up(self) -> None:
        now = self._clock.now()
        if self._closed or (self._known and now < self._next_lookup):
            return
        with self._lock:
            self._next_lookup, self._lookup_allowed = now + LOOKUP_EVERY_S, now + LOOKUP_AGAIN_S
        addresses: dict[Address, None] = {}
        for target in self.endpoint.targets():
            name, found = name_in(target), []
            if name is not None:
                try:
                    found = await self.runtime.lookup(*name)
                except OSError:
                    # Those that were known stay, for a name server may be gone for a while; of a name that was never
                    # found, gRPC's own error tells.
                    found = [_host(known.address) for known in self._known if known.address.server_name == name[0]]
            addresses |= dict.fromkeys(addresses_of(target, found))
        with self._lock:
            known_by_address = {replica.address: replica for replica in self._known}
            # A replica that is gone keeps the streams that it has; its connection ends with the last of them.
            self._known = tuple(known_by_address.get(address) or self._connect(address) for address in addresses)

    def _connect(self, address: Address) -> Replica:
        transport = self.runtime.connect(address)
        self._connected.add(transport)
        return Replica(address, transport)


def _host(address: Address) -> str:
    return address.uri.rpartition(":")[0].strip("[]")
