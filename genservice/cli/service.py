"""Puts the service together: plugins, store, engine, server."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from genservice.cli.settings import Settings
from genservice.engine.engine import Engine
from genservice.engine.workers import INLINE, worker_makers
from genservice.errors import SettingsError
from genservice.plugin_host import PluginHost
from genservice.server.server import Bound, Server
from genservice.store.store import ModelStore
from genservice.telemetry.logs import logger
from genservice.telemetry.observer import Telemetry


def model_store(settings: Settings, host: PluginHost) -> ModelStore:
    """The store that is served: the folders of the settings, or else those that ship with the plugins.

    Raises:
        SettingsError: A folder does not exist, or there is none.
    """
    for folder in settings.store:
        if not folder.is_dir():
            raise SettingsError(f"The setting store: {folder} is not a folder.")
    roots = settings.store or tuple(host.stores)
    if not roots:
        raise SettingsError("No plugin that is installed ships models: give the setting store a folder of models.")
    return ModelStore(roots)


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """An engine, and the server in front of it.

    Args:
        engine: The engine, not yet started.
        server: The server, not yet started.
    """

    engine: Engine
    server: Server

    @classmethod
    def of(cls, settings: Settings, host: PluginHost) -> "Service":
        """Makes a service, and logs what is wrong with plugins and stores but stops neither.

        Args:
            settings: All settings.
            host: The plugins.

        Raises:
            SettingsError: The setting `store` is wrong.
        """
        store = model_store(settings, host)
        log = logger("genservice.start")
        for report in host.reports:
            if report.problem:
                log.warning("plugin refused", problem=report.problem, exc_info=report.error)
        for problem in store.problems():
            log.warning("store", problem=problem)
        telemetry = Telemetry()
        engine = Engine(store, host.families, worker_makers(settings.engine), settings.engine, observer=telemetry)
        return cls(engine, Server(engine, settings.server, metrics=telemetry))

    async def run(self, stop: asyncio.Event, listening: Callable[[Bound], object] | None = None) -> None:
        """Serves until told to stop, then drains.

        Args:
            stop: Is set when the service should end.
            listening: Is called with the addresses once it listens.

        Raises:
            SettingsError: An address or a certificate cannot be used.
        """
        self.engine.start()
        try:
            await self.server.run(stop, listening)
        finally:
            await self.engine.stop()


@contextmanager
def in_background(settings: Settings, host: PluginHost) -> Iterator[str]:
    """Serves from a thread of this process, models included.

    Args:
        settings: All settings; those of workers are not heeded.
        host: The plugins.

    Yields:
        The address of the gRPC services.

    Raises:
        SettingsError: A setting is wrong.
    """
    settings = settings.model_copy(update={"engine": settings.engine.model_copy(update={"workers": (INLINE,)})})
    address: Future[str] = Future()
    stop = asyncio.Event()
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        loop = runner.get_loop()

        def serve() -> None:
            try:
                service = Service.of(settings, host)
                runner.run(service.run(stop, lambda bound: address.set_result(str(bound.grpc))))
            except BaseException as error:
                if address.done():
                    raise
                address.set_exception(error)

        thread = threading.Thread(target=serve, name="genservice")
        thread.start()
        try:
            yield address.result()
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
