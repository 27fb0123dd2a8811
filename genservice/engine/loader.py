"""Brings versions from the store into the worker, and out of it again."""

import asyncio
from collections.abc import Coroutine, Mapping

from pydantic import ValidationError

from genservice.engine.batcher import Batcher
from genservice.engine.catalog import Catalog, State, Version
from genservice.engine.clock import Clock
from genservice.engine.observer import Observer
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest, Worker
from genservice.errors import GenserviceError, NotFound, SettingsError, StoreError
from genservice.plugin_host import Family
from genservice.store.compatibility import check_compatible
from genservice.store.manifest import Serving
from genservice.store.names import ModelName
from genservice.store.store import ModelStore


class Loader:
    """Loads one version at a time; a version that cannot be loaded is FAILED, with the reason, and the others go on."""

    def __init__(
        self,
        store: ModelStore,
        families: Mapping[str, Family],
        worker: Worker,
        settings: EngineSettings,
        catalog: Catalog,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._store = store
        self._families = families
        self._worker = worker
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._observer = observer
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._start: asyncio.Task[None] | None = None
        self.settled = False
        """Whether every version chosen at start is ready or failed."""

    def start(self) -> None:
        """Begins to load the newest version of each model and those with a label; required models first."""
        required = self._settings.required_models
        models = sorted(self._store.models(), key=lambda model: (model not in required, model))
        chosen: dict[str, list[Version]] = {}
        for model in models:
            numbers = sorted(self._store.versions(model), reverse=True)
            self._read_labels(model)
            labelled = set(self._catalog.labels(model).values())
            for number in [number for place, number in enumerate(numbers) if place == 0 or number in labelled]:
                version = Version(model, number)
                chosen.setdefault(model, []).append(version)
                self._catalog.add(version)
        self._start = asyncio.create_task(self._load_chosen(chosen))

    async def started(self) -> None:
        """Waits until every version chosen at start is ready or failed."""
        if self._start is not None:
            await asyncio.shield(self._start)

    def load(self, name: ModelName) -> Version:
        """Begins to load a version, if it is not loaded or loading."""
        self._read_labels(name.model)
        number = name.version
        if name.label is not None:
            number = self._catalog.known(name)[0].number
        numbers = self._store.versions(name.model)
        if number is None:
            number = max(numbers)
        if number not in numbers:
            known = ", ".join(map(str, sorted(numbers)))
            raise NotFound(f"The model {name.model!r} has no version {number}. There are: {known}.", field="name")
        version = self._catalog.find(name.model, number)
        if version is not None and version.state in (State.LOADING, State.WARMING, State.READY, State.DRAINING):
            return version
        version = Version(name.model, number)
        self._catalog.add(version)
        self._spawn(self._load(version))
        return version

    def unload(self, name: ModelName) -> Version:
        """Begins to drain and unload a version."""
        (version,) = self._catalog.known(name)
        if version.state is State.READY:
            self._catalog.move(version, State.DRAINING)
            self._spawn(self._unload(version))
        return version

    async def stop(self) -> None:
        """Ends what is being loaded, and the worker."""
        tasks = [*self._tasks, *([self._start] if self._start is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.close()

    def _serving(self, version: Version) -> Serving:
        """How a version is run: its manifest's word, with the settings' word on top."""
        assert version.manifest is not None
        override = self._settings.models.get(version.model, {})
        try:
            return Serving.model_validate({**version.manifest.serving.model_dump(), **override})
        except ValidationError as invalid:
            first = invalid.errors()[0]
            place = ".".join(map(str, ("models", version.model, *first["loc"])))
            raise SettingsError(f"The setting {place}: {first['msg']}.") from None

    async def _load_chosen(self, chosen: Mapping[str, list[Version]]) -> None:
        for model, versions in chosen.items():
            for version in versions:
                await self._load(version)
            tried = {version.number for version in versions}
            while self._catalog.default(model) is None:
                # The newest is damaged: an older one that works is better than none.
                older = [number for number in self._store.versions(model) if number not in tried]
                if not older:
                    break
                version = Version(model, max(older))
                tried.add(version.number)
                self._catalog.add(version)
                await self._load(version)
        self.settled = True

    async def _load(self, version: Version) -> None:
        async with self._one_at_a_time:
            try:
                await self._bring_up(version)
            except GenserviceError as error:
                await self._fail(version, error.message)
            except Exception as error:  # noqa: BLE001 - the plugin's code may raise anything
                self._observer.model_raised(version.model, version.number, "load", "load", error)
                await self._fail(version, f"{type(error).__name__}: {error}")

    async def _bring_up(self, version: Version) -> None:
        store, model, number = self._store, version.model, version.number
        version.manifest = manifest = store.manifest(model, number)
        await asyncio.to_thread(store.verify, model, number)
        version.content_hash = store.content_hash(model, number)
        family = check_compatible(manifest, self._families)
        version.description = family.model(manifest.config)
        version.serving = serving = self._serving(version)
        request = LoadRequest(family.model(manifest.config), store.directory(model, number), serving)
        version.replica = await self._worker.load(request)
        self._catalog.move(version, State.WARMING)
        await version.replica.warm_up()
        version.batcher = Batcher(model, number, version.replica, serving, self._clock, self._observer)
        self._catalog.move(version, State.READY)

    async def _fail(self, version: Version, reason: str) -> None:
        replica, version.replica = version.replica, None
        self._catalog.move(version, State.FAILED, reason)
        if replica is not None:
            await replica.unload()

    async def _unload(self, version: Version) -> None:
        assert version.batcher is not None
        assert version.replica is not None
        await version.batcher.drained()
        await version.replica.unload()
        version.batcher = version.replica = None
        self._catalog.move(version, State.UNLOADED)

    def _read_labels(self, model: str) -> None:
        try:
            self._catalog.set_labels(model, self._store.labels(model))
        except StoreError as error:
            # The versions can be served without them.
            self._observer.model_raised(model, 0, "labels", "labels", error)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
