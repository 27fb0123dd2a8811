"""Where a client connects, and how."""

import ipaddress
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import grpc

from genservice_client.clock import Clock
from genservice_client.retry import RetryPolicy

Metadata = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]


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

    def __post_init__(self) -> None:
        if min(self.max_request_bytes, self.max_request_rows) < 1:
            raise ValueError("max_request_bytes and max_request_rows must be at least 1")


class Settings(TypedDict, total=False):
    """Keyword arguments of every client; `Endpoint` says what they mean."""

    tls: Tls | None
    timeout_s: float | None
    retry: RetryPolicy
    keepalive: KeepAlive
    limits: Limits
    metadata: Metadata
    clock: Clock


@dataclass(frozen=True)
class Endpoint:
    """A service, and how to talk to it."""

    target: str | Sequence[str]
    """`host:port`, `dns:///name:port` (all addresses of the name, looked up again when one fails), `unix:path`, or
    several `host:port`, whose names are looked up once. Calls go round all addresses."""
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
    clock: Clock = field(default_factory=Clock, kw_only=True)
    """Time and chance; for tests."""

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target is empty")
        if self.tls and not self.tls.server_name and not isinstance(self.target, str) and len(self.target) > 1:
            raise ValueError("several targets with TLS need Tls(server_name=...), the name on their certificates")

    def uri(self) -> str:
        """Gives the target as gRPC reads it."""
        if isinstance(self.target, str):
            return self.target
        if len(self.target) == 1:
            return self.target[0]
        addresses = [_address(target) for target in self.target]
        versions = {address.version for address, _ in addresses}
        if len(versions) > 1:
            raise ValueError(f"targets mix IPv4 and IPv6, which gRPC cannot: {', '.join(self.target)}")
        if versions == {4}:
            return "ipv4:" + ",".join(f"{address}:{port}" for address, port in addresses)
        return "ipv6:" + ",".join(f"[{address}]:{port}" for address, port in addresses)

    def metadata_pairs(self) -> tuple[tuple[str, str | bytes], ...]:
        """Gives the metadata as gRPC takes it."""
        return tuple(self.metadata.items() if isinstance(self.metadata, Mapping) else self.metadata)

    def channel_options(self) -> list[tuple[str, str | int]]:
        """Gives the settings of the channel."""
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
        if self.tls and self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return options


def _address(target: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    host, separator, port = target.rpartition(":")
    if not separator or not port.isdecimal() or "/" in host:
        raise ValueError(f"{target!r} is no 'host:port'; several targets are a sequence of those")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    # A name such as localhost often has addresses of both kinds; IPv4 first keeps the targets of one kind.
    addresses = sorted((ipaddress.ip_address(entry[4][0]) for entry in found), key=lambda address: address.version)
    return addresses[0], int(port)
