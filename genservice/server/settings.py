"""Settings of the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from genservice.errors import SettingsError
from genservice.server.address import Address
from genservice.telemetry.logs import Format, Level


class _Frozen(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TlsSettings(_Frozen):
    """Files of the certificates, as PEM."""

    certificate: Path
    """The server's certificate, followed by those that lead to its authority."""
    private_key: Path
    """The key of the certificate."""
    client_ca: Path | None = None
    """Authorities of the clients' certificates. If set, a client without such a certificate is refused (mTLS)."""


class ServerSettings(_Frozen):
    """Where the server listens, and what it allows."""

    listen: str = "127.0.0.1:8500"
    """Address of the gRPC services: `HOST:PORT` or `unix:/PATH`. Port 0: any that is free."""
    admin_listen: str = ""
    """Address of ModelAdminService: `unix:/PATH`, or a loopback `HOST:PORT`, for it is never encrypted. Empty: off."""
    http_listen: str = "127.0.0.1:8501"
    """Address of `/metrics`, `/livez` and `/readyz`: `HOST:PORT`. Empty: off."""
    tls: TlsSettings | None = None
    """Certificates of the gRPC services. Absent: no encryption."""
    max_message_bytes: int = Field(default=32 << 20, ge=1 << 16)
    """Most bytes of a message, in both directions; a greater one is refused."""
    max_concurrent_rpcs: int = Field(default=4096, gt=0)
    """Most RPCs under way, over all connections; more are refused with RESOURCE_EXHAUSTED."""
    max_concurrent_streams: int = Field(default=1024, gt=0)
    """Most RPCs at once on one connection; more wait at the client."""
    keepalive_interval_s: float = Field(default=60, gt=0)
    """Seconds of silence after which the server asks whether a client is still there."""
    keepalive_timeout_s: float = Field(default=20, gt=0)
    """Seconds that the client has for its answer."""
    min_ping_interval_s: float = Field(default=10, gt=0)
    """Fewest seconds between the pings of a client; one that pings more often is sent away."""
    max_connection_age_s: float | None = Field(default=None, gt=0)
    """Seconds after which a client is asked to connect again, to find new replicas; RPCs finish. Absent: never."""
    write_timeout_s: float = Field(default=300, ge=0, allow_inf_nan=False)
    """Seconds that a response of a stream waits for its client to take it; then the stream ends with ABORTED. If the
    client does not take that status either, the stream is reset after as many seconds more. 0: no limit."""
    drain_wait_s: float = Field(default=0, ge=0)
    """Seconds between reporting NOT_SERVING and sending clients away: the time that load balancers need to hear of
    it."""
    drain_limit_s: float = Field(default=30, ge=0)
    """Most seconds that requests under way have at shutdown; long streams end before, and go on elsewhere."""
    caller_weights: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """By caller: its share among callers, where 1 is what others have. Callers are `x509:NAME` by the common name of
    their certificates, or by their first other name; without mTLS `ipv4:ADDRESS`, `ipv6:ADDRESS`, or `unix`."""
    reflection: bool = True
    """Whether clients may ask for the services and their messages."""
    log_format: Format = "console"
    """`json`: one object a line; `console`: for people."""
    log_level: Level = "info"
    """The least important lines that are logged; `info` has a line for each RPC."""

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        Address.parse(text, setting="listen")
        return text

    @field_validator("admin_listen")
    @classmethod
    def _is_local(cls, text: str) -> str:
        if text and not Address.parse(text, setting="admin_listen").is_local:
            raise SettingsError(
                f"The setting admin_listen is 'unix:/PATH' or a loopback address such as '127.0.0.1:8502', since "
                f"whoever reaches it may load and unload models; got {text[:200]!r}."
            )
        return text

    @field_validator("http_listen")
    @classmethod
    def _is_tcp(cls, text: str) -> str:
        if text and Address.parse(text, setting="http_listen").path:
            raise SettingsError(f"The setting http_listen is HOST:PORT; got {text[:200]!r}.")
        return text
