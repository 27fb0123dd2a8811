"""The server: its listeners, and the order in which it starts and ends."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from genservice.engine.engine import Engine
from genservice.server.address import Address
from genservice.server.admin import ModelAdminService
from genservice.server.changes import Changes
from genservice.server.classification import ClassificationService
from genservice.server.generation import GenerationService
from genservice.server.health import Health
from genservice.server.http import HttpPort
from genservice.server.listener import Listener
from genservice.server.models import ModelService
from genservice.server.pages import pages
from genservice.server.settings import ServerSettings
from genservice.telemetry.logs import logger
from genservice.telemetry.metrics import Metrics
from genservice.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    classification_pb2,
    classification_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)

FLUSH_S = 2.0
"""Seconds that RPCs have, after the engine is drained, to send what they hold."""

SERVICES = tuple(
    str(service.full_name)
    for module in (generation_pb2, classification_pb2, models_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
ADMIN_SERVICES = tuple(str(service.full_name) for service in admin_pb2.DESCRIPTOR.services_by_name.values())


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a server listens, with the ports that it was given.

    Args:
        grpc: Address of the gRPC services.
        admin: Address of the admin service; None: off.
        http: Address of the HTTP port; None: off.
    """

    grpc: Address
    admin: Address | None = None
    http: Address | None = None


class Server:
    """Serves an engine that somebody else starts before it, and stops after it.

    Args:
        engine: Does the work.
        settings: Where to listen, and what to allow.
        metrics: Counts; the same object that observes the engine, so that `/metrics` has all of it.
    """

    def __init__(
        self, engine: Engine, settings: ServerSettings | None = None, *, metrics: Metrics | None = None
    ) -> None:
        self.settings = settings or ServerSettings()
        self._engine = engine
        self._metrics = metrics or Metrics()
        self._changes = Changes(engine.catalog)
        self._health = Health(engine, self._changes, SERVICES)
        self._leaving = False
        self._listeners: list[Listener] = []
        self._closing = AsyncExitStack()
        self._bound: Bound | None = None
        self._log = logger("genservice.server")

    @property
    def bound(self) -> Bound:
        """Where it listens; only once it is started."""
        assert self._bound is not None
        return self._bound

    @property
    def address(self) -> str:
        """Address of the gRPC services, as clients give it."""
        return str(self.bound.grpc)

    async def start(self) -> Bound:
        """Listens.

        Returns:
            The addresses.

        Raises:
            SettingsError: An address or a certificate cannot be used. Nothing listens then.
        """
        settings = self.settings
        try:
            http = await self._start_http() if settings.http_listen else None
            main = self._main_listener()
            admin = self._admin_listener() if settings.admin_listen else None
            for listener in self._listeners:
                await listener.server.start()
        except BaseException:
            await self.close()
            raise
        # The engine settles a moment after its last version has: nothing else tells that to those who watch.
        settled = asyncio.create_task(self._engine.started())
        settled.add_done_callback(lambda _: self._changes.wake_all())
        self._closing.callback(settled.cancel)
        self._bound = Bound(main, admin, http)
        self._log.info("listening", grpc=str(main), admin=str(admin or ""), http=str(http or ""))
        return self._bound

    async def drain(self) -> None:
        """Ends in good order: not ready, then nothing new, then what is under way, then the connections; HTTP last."""
        self._log.info("draining", wait_s=self.settings.drain_wait_s, limit_s=self.settings.drain_limit_s)
        self._leaving = True
        self._metrics.drain_began(time.time() + self.settings.drain_wait_s + self.settings.drain_limit_s + FLUSH_S)
        self._health.leave()
        await asyncio.sleep(self.settings.drain_wait_s)
        # At once nobody can connect, and a GOAWAY asks clients to connect elsewhere; RPCs that they have go on.
        going = asyncio.gather(*self._stopping(self.settings.drain_limit_s + FLUSH_S))
        await self._engine.drain(self.settings.drain_limit_s)
        self._changes.close()
        await self._stop_listeners(FLUSH_S)
        await going
        await self.close()
        self._log.info("drained")

    async def close(self) -> None:
        """Ends at once; what is under way is cut off."""
        self._changes.close()
        await self._stop_listeners(0)
        await self._closing.aclose()

    async def run(self, stop: asyncio.Event, listening: Callable[[Bound], object] | None = None) -> None:
        """Serves until told to stop, then drains.

        Args:
            stop: Is set when the server should end. Cancelling this call ends it at once.
            listening: Is called with the addresses once it listens.

        Raises:
            SettingsError: An address or a certificate cannot be used.
        """
        bound = await self.start()
        try:
            if listening is not None:
                listening(bound)
            await stop.wait()
            await self.drain()
        finally:
            await self.close()

    async def _start_http(self) -> Address:
        port = HttpPort(pages(self._engine, self._metrics.registry, lambda: self._leaving))
        self._closing.push_async_callback(port.close)
        return await port.start(Address.parse(self.settings.http_listen, setting="http_listen"))

    def _main_listener(self) -> Address:
        listener = Listener(self.settings, self._metrics)
        self._listeners.append(listener)
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationService(self._engine, self._metrics), listener.services
        )
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server(
            ClassificationService(self._engine), listener.services
        )
        models_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._engine.catalog, self._changes), listener.services
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, listener.services)
        listener.reflect((*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name))
        return listener.bind(self.settings.listen, setting="listen", tls=self.settings.tls)

    def _admin_listener(self) -> Address:
        listener = Listener(self.settings, self._metrics)
        self._listeners.append(listener)
        admin_pb2_grpc.add_ModelAdminServiceServicer_to_server(ModelAdminService(self._engine), listener.services)
        listener.reflect(ADMIN_SERVICES)
        return listener.bind(self.settings.admin_listen, setting="admin_listen")

    async def _stop_listeners(self, grace_s: float) -> None:
        stopping = self._stopping(grace_s)
        self._listeners = []
        await asyncio.gather(*stopping)

    def _stopping(self, grace_s: float) -> list[Coroutine[Any, Any, None]]:
        return [listener.stop(grace_s) for listener in self._listeners]


async def until_signalled(run: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Runs until SIGTERM or SIGINT, then lets it end in good order; a second signal ends it at once.

    Args:
        run: Runs until the event that it is given is set, as `Server.run` does.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    serving = asyncio.create_task(run(stop))

    def signalled() -> None:
        if stop.is_set():
            serving.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    try:
        await asyncio.wait([serving])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        serving.cancel()
        await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()
