"""A gRPC server on one address, as the settings want it."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection

from genservice.errors import SettingsError
from genservice.server.address import Address
from genservice.server.caller import Callers
from genservice.server.interceptors import CallerInterceptor, ErrorInterceptor, Intercepted, LogInterceptor
from genservice.server.settings import ServerSettings, TlsSettings
from genservice.server.tls import server_credentials
from genservice.telemetry.metrics import Metrics

END_S = 1.0
"""Seconds that methods have to end once gRPC is done with their RPCs."""


class Listener:
    """A gRPC server whose RPCs are logged and counted, and whose errors have details.

    Args:
        settings: What it allows.
        metrics: Counts.

    Attributes:
        server: Listens.
        services: Takes services until it is started.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self._settings = settings
        self.server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_rpcs)
        self._log = LogInterceptor(metrics)
        interceptors = [self._log, ErrorInterceptor(), CallerInterceptor(Callers(settings))]
        self.services: Any = Intercepted(self.server, interceptors, write_timeout_s=settings.write_timeout_s)

    async def stop(self, grace_s: float) -> None:
        """Takes nothing new from now on, asks clients to connect elsewhere, and waits for the RPCs under way.

        Args:
            grace_s: Seconds after which they are cut off; of several calls the one counts that ends first.
        """
        await self.server.stop(grace_s)
        # gRPC is done when it has sent the last status, and the method that gave it may not have ended.
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._log.all_ended()

    def reflect(self, services: Iterable[str]) -> None:
        """Lets clients ask for these services, where the settings allow that."""
        if self._settings.reflection:
            reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), self.server)

    def bind(self, text: str, *, setting: str, tls: TlsSettings | None = None) -> Address:
        """Takes an address.

        Args:
            text: The address.
            setting: Name of the setting that it comes from.
            tls: Certificates; None: no encryption.

        Returns:
            The address with the port that was taken.

        Raises:
            SettingsError: The address or a certificate cannot be used.
        """
        address = Address.parse(text, setting=setting)
        credentials = server_credentials(tls) if tls is not None else None
        # A Unix socket is for its owner alone, from its first moment on.
        umask = os.umask(0o177) if address.path else None
        try:
            if credentials is None:
                port = self.server.add_insecure_port(str(address))
            else:
                port = self.server.add_secure_port(str(address), credentials)
        except RuntimeError:
            port = 0
        finally:
            if umask is not None:
                os.umask(umask)
        if not port:
            raise SettingsError(
                f"The setting {setting}, {address}, cannot be used: another process listens there, or this one may not."
            )
        return address if address.path else Address(address.host, port)


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    options = [
        # Two servers on one port would share its connections, and hide a mistake.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        ("grpc.keepalive_time_ms", round(settings.keepalive_interval_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", round(settings.min_ping_interval_s * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if settings.max_connection_age_s is not None:
        options.append(("grpc.max_connection_age_ms", round(settings.max_connection_age_s * 1000)))
    return options
