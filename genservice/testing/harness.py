"""A model on an engine of its own, for tests that are not asynchronous."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from genservice.engine.call import Output, Rows
from genservice.engine.catalog import State, Version
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Chunk
from genservice.errors import PluginError
from genservice.model.base import Model
from genservice.model.options import OptionScalar
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore


class Harness:
    """Serves the models of one store to a test.

    Args:
        families: The model classes.
        store: Folder of the store.
        settings: Settings of the engine.

    Raises:
        PluginError: A model of these families is not ready; the message has the reason.
    """

    def __init__(self, families: list[type[Model]], store: Path, settings: EngineSettings | None = None) -> None:
        self._runner = asyncio.Runner()
        self._settings = settings or EngineSettings()
        self._store = ModelStore([store])
        self._families = {model.family: self._family(model) for model in families}
        self.engine: Engine

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.run(self._start())
        failed = [version for version in self.versions() if version.state is State.FAILED and self._ours(version)]
        if failed:
            reasons = "; ".join(f"{version.name}: {version.reason}" for version in failed)
            self.__exit__(None, None, None)
            raise PluginError(reasons)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self.engine.stop())
        self._runner.__exit__(kind, error, trace)

    def versions(self) -> list[Version]:
        """All versions, failed ones included."""
        return [version for model in self.engine.catalog.models() for version in self.engine.catalog.versions(model)]

    def sample(
        self,
        model: str,
        sample_count: int,
        *,
        seed: int = 0,
        first_index: int = 0,
        chunk_rows: int = 0,
        conditions: Mapping[str, Rows] | None = None,
        output: Output | None = None,
        options: Mapping[str, OptionScalar] | None = None,
    ) -> Any:
        """Draws samples: an array `[sample_count, ...]`, or a list where `output` asks for files."""

        async def draw() -> list[Any]:
            stream = self.engine.sample(
                ModelName(model),
                sample_count=sample_count,
                seed=seed,
                first_index=first_index,
                chunk_rows=chunk_rows,
                conditions=conditions,
                output=output,
                options=options,
            )
            return [event.results["samples"] async for event in stream.events() if isinstance(event, Chunk)]

        chunks = self._runner.run(draw())
        if isinstance(chunks[0], list):
            return [row for chunk in chunks for row in chunk]
        return np.concatenate(chunks)

    def call(
        self,
        model: str,
        function: str,
        inputs: Rows | Mapping[str, Rows],
        options: Mapping[str, OptionScalar] | None = None,
    ) -> Any:
        """Runs a function that is answered at once.

        Args:
            model: Name of the model.
            function: A verb, or `predict:NAME` for a signature.
            inputs: The rows, or by name where there are more inputs than one.
            options: Options by name.

        Returns:
            The result, or the results by name where there are several.
        """
        rows = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
        _, results = self._runner.run(self.engine.call(ModelName(model), function, rows, options))
        return dict(results) if len(results) > 1 else next(iter(results.values()))

    def _family(self, model: type[Model]) -> Family:
        """The family, as if from the plugin that made the versions: which plugin that is, is not what is tested."""
        manifests = [self._store.manifest(name, max(self._store.versions(name))) for name in self._store.models()]
        made = [manifest for manifest in manifests if manifest.family == model.family]
        plugin, version = (made[0].plugin, made[0].plugin_version) if made else ("", "0")
        return Family(model.family, model, plugin, version)

    def _ours(self, version: Version) -> bool:
        """Whether a version is of these families; one whose manifest cannot be read may be."""
        return version.manifest is None or version.manifest.family in self._families

    async def _start(self) -> None:
        self.engine = Engine(self._store, self._families, inline_workers(self._settings), self._settings)
        self.engine.start()
        await self.engine.started()
