"""Who calls, and how urgent it is: the flow of an RPC."""

from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol
from urllib.parse import unquote

from genservice.engine.flow import Flow, Priority
from genservice.errors import InvalidRequest
from genservice.server.settings import ServerSettings

SHARE_KEY = "genservice-caller"
"""Metadata: a name by which a caller divides its share."""
PRIORITY_KEY = "genservice-priority"
"""Metadata: `low`, `normal` or `high`."""
MOST_SHARE_CHARS = 64

_PRIORITIES: Mapping[str, Priority] = {priority.name.lower(): priority for priority in Priority}


class CallerContext(Protocol):
    """The part of gRPC's context that says who calls."""

    def peer(self) -> str:
        """The other end of the connection, such as `ipv4:10.0.0.7:53124`."""

    def auth_context(self) -> Mapping[str, Any]:
        """What TLS knows of the other end."""

    def invocation_metadata(self) -> Any:
        """The client's metadata, as pairs."""


class Callers:
    """Finds out who calls, and what weight the settings give it.

    Args:
        settings: Whether clients have certificates, and weights.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._certified = settings.tls is not None and settings.tls.client_ca is not None
        self._weights = settings.caller_weights

    def identify(self, context: CallerContext) -> tuple[str, float]:
        """The caller, and its weight.

        An authenticator's identity would come first here: `authenticator.identify(context)`, before the certificate's.

        Returns:
            `x509:NAME` of a client's certificate, else the address without the port, as `ipv4:10.0.0.7`, or `unix`.
        """
        # A port is soon another client's, so what a certificate says is asked each time.
        name = _certificate_name(context.auth_context()) if self._certified else ""
        caller = f"x509:{name}" if name else address_of(context.peer())
        return caller, self._weights.get(caller, 1.0)


_caller: ContextVar[tuple[str, float]] = ContextVar("caller")


def enter(callers: Callers, context: CallerContext) -> None:
    """Notes whose RPC this task serves."""
    _caller.set(callers.identify(context))


def flow_of(context: CallerContext) -> Flow:
    """The flow of the RPC that this task serves.

    Raises:
        InvalidRequest: The metadata's share or priority is not as it should be.
    """
    caller, weight = _caller.get()
    share, priority = "", "normal"
    for key, value in context.invocation_metadata() or ():
        if key == SHARE_KEY:
            share = value
        elif key == PRIORITY_KEY:
            priority = value
    return _flow(caller, weight, share, priority)


@lru_cache(maxsize=4096)
def address_of(peer: str) -> str:
    """The address of a peer, without its port.

    Args:
        peer: As gRPC has it: `ipv4:10.0.0.7:53124`, `ipv6:%5B::1%5D:53124`, `unix:`.
    """
    kind, _, address = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    host = address.rpartition(":")[0].strip("[]")
    try:
        parsed = ip_address(host)
    except ValueError:
        return f"{kind}:{host}"
    # A socket for both families has IPv4 clients under ::ffff:0:0/96.
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return f"ipv4:{parsed.ipv4_mapped}"
    return f"{kind}:{parsed}"


@lru_cache(maxsize=4096)
def _flow(caller: str, weight: float, share: str, priority: str) -> Flow:
    if not isinstance(share, str) or len(share) > MOST_SHARE_CHARS or not share.isprintable():
        raise InvalidRequest(
            f"The metadata {SHARE_KEY!r} has at most {MOST_SHARE_CHARS} printable characters; got {share[:80]!r}.",
            field=f"metadata.{SHARE_KEY}",
        )
    if priority not in _PRIORITIES:
        raise InvalidRequest(
            f"The metadata {PRIORITY_KEY!r} is one of 'low', 'normal' and 'high'; got {priority[:80]!r}.",
            field=f"metadata.{PRIORITY_KEY}",
        )
    return Flow(caller, share, weight, _PRIORITIES[priority])


def _certificate_name(authentication: Mapping[str, Any]) -> str:
    """The common name of a certificate, else the first of its other names; empty where there is none."""
    for key in ("x509_common_name", "x509_subject_alternative_name"):
        for name in authentication.get(key, ()):
            if name:
                return str(name.decode(errors="replace"))
    return ""
