"""Where a client connects, and how."""

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, get_args

import grpc

from genservice_client.clock import Clock
from genservice_client.retry import RetryPolicy

Metadata = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
MetadataPairs = tuple[tuple[str, str | bytes], ...]
Priority = Literal["low", "normal", "high"]
"""How soon rows are drawn next to other rows, of all callers."""

_PRIORITY_KEY = "genservice-priority"
_CALLER_KEY = "genservice-caller"
_CALLER_SHARE = re.compile(r"[ -~]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the connection is encrypted and who vouches for whom. Each file is a path, or the PEM bytes themselves."""

    root_certificates: str | Path | bytes | None = None
    """Authorities that may vouch for the server. None: those that gRPC brings along."""
    private_key: str | Path | bytes | None = None
    """The client's key, where the server asks who it is."""
    certificate_chain: str | Path | bytes | None = None
    """The client's certificate, with `private_key`."""
    server_name: str = ""
    """Name that the server's certificate must carry. Empty: the name in the target."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files."""
        return grpc.ssl_channel_credentials(
            root_certificates=_pem(self.root_certificates),
            private_key=_pem(self.private_key),
            certificate_chain=_pem(self.certificate_chain),
        )


def _pem(source: str | Path | bytes | None) -> bytes | None:
    return Path(source).read_bytes() if isinstance(source, str | Path) else source


@dataclass(frozen=True, kw_only=True)
class KeepAlive:
    """How a connection that died silently is found out."""

    interval_s: float = 60.0
    """A ping goes out after this many seconds without traffic, while a call is open. A server that allows fewer ends
    the connection with `too_many_pings`; streams go on after it."""
    timeout_s: float = 20.0
    """A connection that does not answer a ping in this many seconds is dead."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large messages are."""

    max_message_bytes: int = 256 * 2**20
    """Largest message that is received, in bytes."""
    max_request_bytes: int = 3 * 2**20
    """Inputs of more bytes are sent in several requests. gRPC servers take 4 MiB unless told otherwise."""
    max_request_rows: int = 256
    """Inputs of more rows are sent in several requests."""
    part_rows: int = 64
    """A draw of more samples is split over the replicas, in parts of so many samples or more."""
    read_ahead_bytes: int = 128 * 2**20
    """Where a draw is split, replicas stop while samples of so many bytes wait to be read."""

    def __post_init__(self) -> None:
        for name in ("max_request_bytes", "max_request_rows", "part_rows", "read_ahead_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")


class Settings(TypedDict, total=False):
    """Keyword arguments of every client; `Endpoint` says what they mean."""

    tls: Tls | None
    timeout_s: float | None
    retry: RetryPolicy
    keepalive: KeepAlive
    limits: Limits
    metadata: Metadata
    priority: Priority | None
    caller_share: str
    clock: Clock


@dataclass(frozen=True)
class Address:
    """Where one replica is."""

    uri: str
    """As gRPC reads it."""
    server_name: str = ""
    """The name that was looked up, which a certificate must carry. Empty: the one in `uri`."""


@dataclass(frozen=True)
class Endpoint:
    """A service, and how to talk to it."""

    target: str | Sequence[str]
    """`host:port`, `dns:///name:port` or `unix:path`; several of them as a sequence, or with commas in between. Each
    address is a replica, and so is each of several addresses of one name, which is looked up again at times, and when a
    replica is lost."""
    tls: Tls | None = field(default=None, kw_only=True)
    """None: not encrypted."""
    timeout_s: float | None = field(default=60.0, kw_only=True)
    """Seconds for a call that is given no `timeout_s`, its retries included; None: no limit. Streams have none."""
    retry: RetryPolicy = field(default=RetryPolicy(), kw_only=True)
    """When a call that failed is made again."""
    keepalive: KeepAlive = field(default=KeepAlive(), kw_only=True)
    """How a dead connection is found out."""
    limits: Limits = field(default=Limits(), kw_only=True)
    """How large messages are."""
    metadata: Metadata = field(default=(), kw_only=True)
    """Sent along with every call, such as `{"authorization": "Bearer ..."}`. Keys are in lower case."""
    priority: Priority | None = field(default=None, kw_only=True)
    """Of every call that is given none: `low`, `normal` or `high`. None: the server's default."""
    caller_share: str = field(default="", kw_only=True)
    """Name that subdivides what the server grants this caller, such as the name of a job: up to 64 printable ASCII
    characters. Jobs of one caller then take turns. Empty: not sent."""
    clock: Clock = field(default_factory=Clock, kw_only=True)
    """Time and chance; for tests."""

    def __post_init__(self) -> None:
        targets = self.targets()
        if not targets or not all(targets):
            raise ValueError(f"target is empty, or a part of it is: {self.target!r}")
        for target in targets if len(targets) > 1 else ():
            if not re.fullmatch(r"unix:.+|(dns:///)?[^/]+:[0-9]+", target):
                raise ValueError(f"{target!r} is no 'host:port'; several targets are a sequence of those")
        _check_priority(self.priority)
        if self.caller_share and not _CALLER_SHARE.fullmatch(self.caller_share):
            raise ValueError(f"caller_share is {self.caller_share!r}; it must be up to 64 printable ASCII characters")

    def targets(self) -> tuple[str, ...]:
        """Gives the targets one by one."""
        if not isinstance(self.target, str):
            return tuple(self.target)
        if self.target.startswith("unix:"):
            return (self.target,)
        # `ipv4:` and `ipv6:` are gRPC's own forms of several addresses.
        return tuple(part.strip() for part in re.sub(r"^ipv[46]:", "", self.target).split(",")) if self.target else ()

    def metadata_pairs(self, priority: Priority | None = None) -> MetadataPairs:
        """Gives the metadata of a call as gRPC takes it.

        Args:
            priority: The call's own; None: the client's.

        Raises:
            ValueError: There is no such priority.
        """
        _check_priority(priority)
        pairs = tuple(self.metadata.items() if isinstance(self.metadata, Mapping) else self.metadata)
        if priority or self.priority:
            pairs += ((_PRIORITY_KEY, str(priority or self.priority)),)
        if self.caller_share:
            pairs += ((_CALLER_KEY, self.caller_share),)
        return pairs

    def channel_options(self, address: Address) -> list[tuple[str, str | int]]:
        """Gives the settings of the channel to an address."""
        options: list[tuple[str, str | int]] = [
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
            # Retries are this SDK's: it knows the details of an error, and what of a stream has come.
            ("grpc.enable_retries", 0),
            # gRPC waits a second before it connects again, and up to two minutes: longer than the retries last.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.keepalive_time_ms", round(self.keepalive.interval_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.keepalive.timeout_s * 1000)),
            ("grpc.max_receive_message_length", self.limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),
        ]
        name = (self.tls.server_name or address.server_name) if self.tls else ""
        if name:
            options.append(("grpc.ssl_target_name_override", name))
        return options


def _check_priority(priority: str | None) -> None:
    if priority is not None and priority not in get_args(Priority):
        raise ValueError(f"priority is {priority!r}; it must be one of {', '.join(get_args(Priority))}")


def name_in(target: str) -> tuple[str, int] | None:
    """Gives the name and the port of a target that is to be looked up; None where there is nothing to look up."""
    host, _, port = target.removeprefix("dns:///").rpartition(":")
    if not host or not port.isdecimal() or ":" in host.strip("[]") or "/" in host:
        return None
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host, int(port)
    return None


def addresses_of(target: str, found: Sequence[str]) -> list[Address]:
    """Gives the replicas of a target.

    Args:
        target: As it was given.
        found: IP addresses of the name in it; none where it has no name, or nothing was found.

    Returns:
        One a replica. A name such as localhost often has an address of each kind, which are one server: several of one
        kind are several servers.
    """
    name = name_in(target)
    for version in (4, 6):
        of_version = [address for address in found if ipaddress.ip_address(address).version == version]
        if name and len(of_version) > 1:
            uris = [f"{f'[{address}]' if version == 6 else address}:{name[1]}" for address in of_version]
            return [Address(uri, server_name=name[0]) for uri in uris]
    return [Address(target)]
