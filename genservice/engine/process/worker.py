"""A worker in a process of its own, which can be killed without losing the server."""

import asyncio
from itertools import count

import tomli_w

from genservice.engine.clock import Clock, LoopClock
from genservice.engine.process import messages
from genservice.engine.process.link import Link
from genservice.engine.process.output import OnOutput, log_line
from genservice.engine.process.replica import ProcessReplica
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest
from genservice.errors import PluginError, WorkerLost
from genservice.model.base import Model


class ProcessWorker:
    """Runs models in a child process, over two Unix socket pairs.

    A process that was lost can be started again; replicas of the lost one stay lost.

    Args:
        settings: Numbers of threads, and the limits of a process.
        device: Where models run: `CPU:0`, or `GPU:0` and so on.
        clock: Time; the event loop's where absent.
        on_output: Gets each line that the process writes; it goes to the logger `genservice.worker` where absent.
    """

    def __init__(
        self,
        settings: EngineSettings,
        device: str = "CPU:0",
        *,
        clock: Clock | None = None,
        on_output: OnOutput = log_line,
    ) -> None:
        self.device = device
        self._settings = settings
        self._clock = clock or LoopClock()
        self._on_output = on_output
        self._link: Link | None = None
        self._replicas = count(1)

    @property
    def pid(self) -> int:
        """The process; 0 where it was not started."""
        return self._link.pid if self._link is not None else 0

    @property
    def lost(self) -> "asyncio.Future[str]":
        """Done when the process has ended without being told to, with the reason; known once it has started."""
        return self._known().lost

    @property
    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        return self._link.resident_bytes if self._link is not None else 0

    async def start(self) -> None:
        """Starts the process.

        Raises:
            SettingsError: There is no such device.
            WorkerLost: It ended while it started.
        """
        if self._link is not None and not self._link.ended:
            raise RuntimeError("The worker was started before.")
        try:
            link = self._link = Link(self._settings, self.device, self._clock, self._on_output)
        except OSError as error:
            raise WorkerLost(f"The worker of {self.device} cannot be started: {error}.") from error
        try:
            await link.ready()
        except asyncio.CancelledError:
            await self.close()
            raise

    async def load(self, request: LoadRequest) -> ProcessReplica:
        """Reads a version's weights.

        Raises:
            PluginError: The process cannot find the model's class.
            WorkerLost: The process is gone.
        """
        link = self._known()
        kind = type(request.model)
        number = next(self._replicas)
        call = await link.room()
        order = messages.Load(
            call,
            number,
            _path_of(kind),
            tomli_w.dumps(request.model.config),
            str(request.directory),
            request.serving.model_dump(),
        )
        loaded, _ = await link.ask(call, order, messages.Loaded)
        return ProcessReplica(link, number, request.model.Options, loaded.numerics)

    async def close(self) -> None:
        """Ends the process, if need be by SIGKILL."""
        if self._link is not None:
            await self._link.close()

    def _known(self) -> Link:
        if self._link is None:
            raise WorkerLost(f"The worker of {self.device} was not started.")
        return self._link


def _path_of(kind: type[Model]) -> str:
    """Where another process finds a class."""
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise PluginError(
            f"The class {kind.__qualname__} of the family {kind.family!r} cannot be imported by a worker process: put "
            "it at the top level of a module."
        )
    return f"{kind.__module__}:{kind.__qualname__}"
