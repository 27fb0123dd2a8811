"""Where models run. The engine sees a worker; whether that is a thread or a process is its own affair."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genservice.engine.call import Batch, Results, Slice
from genservice.engine.runtime import Runtime
from genservice.engine.settings import EngineSettings
from genservice.model.base import Model
from genservice.store.manifest import Serving

_WARM = object()


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Which version to load, and how to run it.

    Args:
        model: The model, made from the version's config and not yet loaded.
        directory: The version's folder.
        serving: Batch sizes, and whether to compile.
    """

    model: Model
    directory: Path
    serving: Serving


class Replica(Protocol):
    """A version in a worker."""

    @property
    def numerics(self) -> str:
        """Fingerprint of what the bits of its results depend on."""

    @property
    def answer_row_bytes(self) -> Mapping[str, int]:
        """Bytes of one row of each verb's result; known once it is warm."""

    async def warm_up(self) -> None:
        """Runs every batch size once, and checks the model's promises.

        Raises:
            PluginError: The model breaks one.
        """

    async def run(self, batch: Batch) -> Sequence[Results]:
        """Runs a batch.

        Returns:
            The results of each slice.

        Raises:
            GenserviceError: The request is at fault.
            Exception: The model's code raised.
        """

    async def unload(self) -> None:
        """Gives back what the version holds."""


class Worker(Protocol):
    """Something that versions run in."""

    async def load(self, request: LoadRequest) -> Replica:
        """Reads a version's weights."""

    async def close(self) -> None:
        """Ends the worker."""


class InlineWorker:
    """Runs models in a thread of this process: for tests, the demo and notebooks.

    TensorFlow calls are made one at a time, from one thread; media are encoded in others.

    Args:
        settings: Numbers of threads.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._encoders = ThreadPoolExecutor(settings.encode_threads, thread_name_prefix="encode")

    async def load(self, request: LoadRequest) -> "InlineReplica":
        """Reads a version's weights, in the model thread."""
        runtime = Runtime(request.model, request.serving, self._settings.intra_op_threads)
        await asyncio.get_running_loop().run_in_executor(self._calls, runtime.load, request.directory)
        return InlineReplica(runtime, self._calls, self._encoders)

    async def close(self) -> None:
        """Ends the threads when the calls that run are done, without waiting for them: one may hang."""
        for threads in (self._calls, self._encoders):
            threads.shutdown(wait=False, cancel_futures=True)


class InlineReplica:
    """A version in an `InlineWorker`."""

    def __init__(self, runtime: Runtime, calls: ThreadPoolExecutor, encoders: ThreadPoolExecutor) -> None:
        self._runtime = runtime
        self._calls = calls
        self._encoders = encoders

    @property
    def numerics(self) -> str:
        """Fingerprint of what the bits of its results depend on."""
        return self._runtime.numerics

    @property
    def answer_row_bytes(self) -> Mapping[str, int]:
        """Bytes of one row of each verb's result; known once it is warm."""
        return self._runtime.answer_row_bytes

    async def warm_up(self) -> None:
        """Runs every batch size once, and checks the model's promises; batches of other models run in between."""
        loop = asyncio.get_running_loop()
        steps = self._runtime.warm_up()
        while await loop.run_in_executor(self._calls, lambda: next(steps, _WARM)) is not _WARM:
            pass

    async def run(self, batch: Batch) -> Sequence[Results]:
        """Runs a batch, then gives samples the form that each request asked for."""
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._calls, self._runtime.run, batch)
        if batch[0].call.verb != "sample":
            return results
        return await asyncio.gather(*(self._formed(piece, rows) for piece, rows in zip(batch, results, strict=True)))

    async def unload(self) -> None:
        """Drops the model; what TensorFlow has taken from the system it keeps."""
        await asyncio.get_running_loop().run_in_executor(self._calls, self._runtime.unload)

    async def _formed(self, piece: Slice, results: Results) -> Results:
        if not (piece.call.output.media_type or piece.call.output.dtype == "uint8"):
            return results
        return await asyncio.get_running_loop().run_in_executor(
            self._encoders, self._runtime.form, piece.call.output, results
        )
