"""Brings versions from the store into the worker, and out of it again."""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from genservice.engine.batcher import Batcher
from genservice.engine.catalog import ANSWERING, STABLE, Catalog, State, Version
from genservice.engine.clock import Clock
from genservice.engine.observer import Observer
from genservice.engine.seat import Seat, WorkerMaker
from genservice.engine.settings import EngineSettings
from genservice.engine.verbs import check_declared
from genservice.engine.worker import LoadRequest, Replica, Worker
from genservice.errors import (
    GenserviceError,
    ModelFailed,
    PluginError,
    ServerDraining,
    SettingsError,
    StoreError,
    WorkerLost,
    suggestion,
)
from genservice.model.base import Determinism, IterativeGenerator
from genservice.plugin_host import Family
from genservice.store.compatibility import check_compatible
from genservice.store.manifest import Serving
from genservice.store.names import ModelName
from genservice.store.store import ModelStore

LOAD_TRIES = 3
"""How often a version is loaded whose worker dies meanwhile."""


class Loader:
    """Loads one version at a time; a version that cannot be loaded is FAILED, with the reason, and the others go on.

    What is asked for last is what comes out: a version that is asked for while it drains is loaded again when it has
    drained, and one that is given up while it loads is unloaded when it has loaded.
    """

    def __init__(
        self,
        store: ModelStore,
        families: Mapping[str, Family],
        workers: Mapping[str, WorkerMaker],
        settings: EngineSettings,
        catalog: Catalog,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._store = store
        self._families = families
        self._seats = [Seat(name, make, clock, self._seat_lost) for name, make in workers.items()]
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._observer = observer
        self._one_at_a_time = asyncio.Lock()
        self._settling: dict[Version, asyncio.Task[None]] = {}
        self._recoveries: set[asyncio.Task[None]] = set()
        self._start: asyncio.Task[None] | None = None
        self.settled = False
        """Whether every version chosen at start is ready or failed."""

    def start(self) -> None:
        """Begins to load the newest version of each model and those with a label; required models first."""
        required = self._settings.required_models
        models = sorted(self._store.models(), key=lambda model: (model not in required, model))
        chosen: dict[str, list[Version]] = {}
        for model in models:
            self._take_in(model, *self._survey(model))
            versions = self._catalog.versions(model)
            labelled = set(self._catalog.labels(model).values())
            # Those with a label first: they have callers.
            chosen[model] = [version for version in versions if version.number in labelled]
            chosen[model] += [version for version in versions[:1] if version not in chosen[model]]
            for version in chosen[model]:
                version.wanted = True
                self._catalog.move(version, State.LOADING)
        self._start = asyncio.create_task(self._load_chosen(chosen))

    async def started(self) -> None:
        """Waits until every version chosen at start is ready or failed."""
        if self._start is not None:
            await asyncio.shield(self._start)

    async def load(self, name: ModelName) -> Version:
        """Begins to load a version, if it is not loaded or loading.

        Raises:
            NotFound: There is no such model, version or label in the store.
        """
        self._take_in(name.model, *await asyncio.to_thread(self._survey, name.model))
        version = self._catalog.known(name)[0]
        self._want(version)
        return version

    def unload(self, name: ModelName) -> Version:
        """Begins to drain and unload a version."""
        (version,) = self._catalog.known(name)
        version.wanted = False
        self._settle(version)
        return version

    def recall(self, version: Version, content_hash: str) -> None:
        """Begins to load a version that is not served any more, for a stream that began on it elsewhere.

        Args:
            version: The version.
            content_hash: What the stream is pinned to; a version with another is left alone.
        """
        with suppress(GenserviceError):
            if self._store.content_hash(version.model, version.number) == content_hash:
                self._want(version)

    async def stop(self) -> None:
        """Ends what is being loaded, and the workers."""
        tasks = [*self._settling.values(), *self._recoveries, *([self._start] if self._start is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(seat.close() for seat in self._seats))

    def _survey(self, model: str) -> tuple[list[int], Mapping[str, int] | StoreError]:
        """Reads from the store which versions and labels a model has now."""
        numbers = self._store.versions(model)
        try:
            return numbers, self._store.labels(model)
        except StoreError as error:
            return numbers, error

    def _take_in(self, model: str, numbers: list[int], labels: Mapping[str, int] | StoreError) -> None:
        for number in numbers:
            if self._catalog.find(model, number) is None:
                self._catalog.add(Version(model, number))
        if isinstance(labels, StoreError):
            # The versions can be served without them.
            self._observer.model_raised(model, 0, "read labels", secrets.token_hex(6), labels)
        else:
            self._catalog.set_labels(model, labels)

    def _want(self, version: Version) -> None:
        version.wanted = True
        if version.state is State.FAILED:
            self._catalog.move(version, State.LOADING)
        self._settle(version)

    def _settle(self, version: Version) -> asyncio.Task[None]:
        """Begins to bring a version into the state that is wanted, unless that is under way."""
        self._turn(version)
        task = self._settling.get(version)
        if task is None or task.done():
            task = self._settling[version] = asyncio.create_task(self._work(version))
        return task

    async def _work(self, version: Version) -> None:
        while version.state in (State.LOADING, State.DRAINING):
            await (self._load(version) if version.state is State.LOADING else self._unload(version))
            self._turn(version)

    def _turn(self, version: Version) -> None:
        """Sets out from a state that is not the one wanted."""
        if version.wanted and version.state is State.UNLOADED:
            self._catalog.move(version, State.LOADING)
        elif not version.wanted and version.state in ANSWERING:
            self._catalog.move(version, State.DRAINING)

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
        waiting = dict(chosen)
        while waiting:
            model = next(iter(waiting))
            if model not in self._settings.required_models:
                # After the required ones come those that somebody has asked for meanwhile.
                asked = (name for name, versions in waiting.items() if any(version.asked for version in versions))
                model = next(asked, model)
            versions = waiting.pop(model)
            for version in versions:
                await self._settle(version)
            stable = self._catalog.labels(model).get(STABLE)
            for older in self._catalog.versions(model):
                if stable is not None or self._catalog.default(model) is not None:
                    break
                # The newest is damaged: an older one that works is better than none.
                if older not in versions:
                    older.wanted = True
                    await self._settle(older)
        self.settled = True

    async def _load(self, version: Version) -> None:
        async with self._one_at_a_time:
            try:
                await self._bring_up(version)
            except GenserviceError as error:
                await self._fail(version, error.message)
            except Exception as error:  # noqa: BLE001 - the plugin's code may raise anything
                reference = self._log_raised(version, "load", error)
                await self._fail(
                    version, f"The plugin's code raised {type(error).__name__}; the log has it under {reference}."
                )

    async def _bring_up(self, version: Version) -> None:
        store, model, number = self._store, version.model, version.number
        version.manifest = manifest = await asyncio.to_thread(store.verify, model, number)
        version.content_hash = await asyncio.to_thread(store.content_hash, model, number)
        version.family = family = check_compatible(manifest, self._families)
        description = family.model(manifest.config)
        check_declared(description)
        version.description = description
        if description.needs_trust and not self._settings.trust_graphs:
            raise PluginError(
                f"{version.name} is a graph of its maker's own, which can do what the server may: set "
                "engine.trust_graphs = true if you trust who made it."
            )
        version.serving = serving = self._serving(version)
        seats = self._seats_of(version)
        replicas = [await self._load_with_patience(seat, version) for seat in seats]
        version.batcher = Batcher(
            model,
            number,
            serving,
            self._clock,
            self._observer,
            iterative=isinstance(description, IterativeGenerator),
            max_queue_s=self._settings.max_queue_s,
            max_caller_rows=self._settings.max_caller_rows,
        )
        for seat, replica in zip(seats, replicas, strict=True):
            # A worker that has died meanwhile is being followed by another, which takes the version in.
            if seat.replicas.get(version) is replica:
                version.batcher.attach(replica)
        self._catalog.move(version, State.READY)

    def _seats_of(self, version: Version) -> list[Seat]:
        """Where a version is served: everywhere, unless the settings name seats for its model."""
        names = self._settings.placement.get(version.model)
        if names is None:
            return self._seats
        by_name = {seat.name: seat for seat in self._seats}
        for name in names:
            if name not in by_name:
                raise SettingsError(
                    f"The setting placement.{version.model}: there is no worker {name!r}.{suggestion(name, by_name)}"
                )
        return [by_name[name] for name in names]

    async def _load_with_patience(self, seat: Seat, version: Version) -> Replica:
        """Loads a version, again where the worker dies: that may have had nothing to do with it."""
        for _ in range(LOAD_TRIES - 1):
            with suppress(WorkerLost):
                return await self._load_on(seat, version)
        return await self._load_on(seat, version)

    async def _load_on(self, seat: Seat, version: Version) -> Replica:
        assert version.family is not None
        assert version.manifest is not None
        assert version.serving is not None
        worker = await seat.running()
        return await self._load_into(worker, seat, version)

    async def _load_into(self, worker: Worker, seat: Seat, version: Version) -> Replica:
        """Loads and warms up a version in a worker, which may not sit in the seat yet."""
        assert version.family is not None
        assert version.manifest is not None
        assert version.serving is not None
        directory = self._store.directory(version.model, version.number)
        replica = await worker.load(
            LoadRequest(version.family.model(version.manifest.config), directory, version.serving)
        )
        if version.state is State.LOADING:
            self._catalog.move(version, State.WARMING)
        await replica.warm_up()
        bitwise = version.description is not None and version.description.determinism is Determinism.BITWISE
        if bitwise and version.numerics not in ("", replica.numerics):
            raise PluginError(
                f"The model promises BITWISE, and its workers differ: {version.numerics!r} and {replica.numerics!r}."
            )
        version.numerics, version.answer_row_bytes = replica.numerics, replica.answer_row_bytes
        if seat.worker is worker:
            seat.assigned.add(version)
            seat.replicas[version] = replica
            seat.note_growth()
        return replica

    def _seat_lost(self, seat: Seat, reason: str) -> None:
        """Sees to the versions of a worker that has died; their requests wait."""
        self._observer.worker_lost(seat.name, reason)
        replicas, seat.replicas = seat.replicas, {}
        for version, replica in replicas.items():
            if version.batcher is not None:
                self._begin(version.batcher.detach(replica))
            elsewhere = any(version in other.replicas for other in self._seats)
            if version.state is State.READY and not elsewhere:
                self._catalog.move(version, State.RECOVERING, f"Its worker was lost: {reason}.")
        self._begin(self._recover(seat))

    async def _recover(self, seat: Seat) -> None:
        """Loads what a worker that has died had, those with waiting rows first."""
        while any(version not in seat.replicas for version in seat.assigned):
            # Whose rows wait is looked at when the worker is there, not before the pause.
            with suppress(WorkerLost):
                await seat.running()
            waiting = [version for version in seat.assigned if version not in seat.replicas]
            if not waiting:
                return
            waiting.sort(key=lambda version: -version.batcher.queued_rows if version.batcher is not None else 1)
            version = waiting[0]
            if version.batcher is None:
                seat.assigned.discard(version)
                continue
            async with self._one_at_a_time:
                if version in seat.replicas or version.batcher is None:
                    continue
                try:
                    replica = await self._load_with_patience(seat, version)
                except Exception as error:  # noqa: BLE001 - the plugin's code may raise anything
                    seat.assigned.discard(version)
                    await self._give_up(version, error)
                    continue
                if seat.replicas.get(version) is not replica:
                    continue
                version.batcher.attach(replica)
                if version.state is State.RECOVERING:
                    self._catalog.move(version, State.READY)

    async def _give_up(self, version: Version, error: Exception) -> None:
        """Gives up a version that cannot be loaded again, unless it is served elsewhere."""
        message = error.message if isinstance(error, GenserviceError) else type(error).__name__
        if not isinstance(error, GenserviceError):
            self._log_raised(version, "load", error)
        if any(version in other.replicas for other in self._seats):
            return
        if version.batcher is not None:
            version.batcher.fail_all(ModelFailed(f"{version.name} could not be loaded again: {message}"))
        await self._fail(version, message)

    async def _recycle(self, seat: Seat) -> None:
        """Puts a new worker in the place of one that has grown; the rows that it has, it finishes."""
        old_worker, old_replicas = seat.worker, seat.replicas
        worker = await seat.started()
        seat.worker, seat.replicas, seat.most_assigned = worker, {}, 0
        try:
            for version, old in old_replicas.items():
                if version.batcher is not None:
                    version.batcher.attach(await self._load_into(worker, seat, version))
                    await version.batcher.detach(old)
        finally:
            if old_worker is not None:
                await seat.end(old_worker)

    def _begin(self, work: "Coroutine[Any, Any, None]") -> None:
        task = asyncio.create_task(work)
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    async def _fail(self, version: Version, reason: str) -> None:
        version.wanted = False
        await self._give_back(version)
        self._catalog.move(version, State.FAILED, reason)

    async def _unload(self, version: Version) -> None:
        assert version.batcher is not None
        try:
            async with asyncio.timeout(self._settings.unload_limit_s):
                await version.batcher.drained()
        except TimeoutError:
            version.batcher.fail_all(
                ServerDraining(f"{version.name} was unloaded: go on at another replica.", retry_after_s=1.0)
            )
        async with self._one_at_a_time:
            await self._give_back(version)
        self._catalog.move(version, State.UNLOADED)

    async def _give_back(self, version: Version) -> None:
        """Gives back what a version holds: memory goes back to the system with the process that held it."""
        batcher, version.batcher, version.numerics = version.batcher, None, ""
        for seat in self._seats:
            seat.assigned.discard(version)
            replica = seat.replicas.pop(version, None)
            if replica is None:
                continue
            try:
                if batcher is not None:
                    await batcher.detach(replica)
                if not seat.replicas and not seat.assigned:
                    await seat.close()
                    continue
                await replica.unload()
                if seat.grown_bytes > self._settings.max_growth_bytes:
                    await self._recycle(seat)
            except Exception as error:  # noqa: BLE001 - the plugin's code may raise anything
                self._log_raised(version, "unload", error)

    def _log_raised(self, version: Version, verb: str, error: Exception) -> str:
        reference = secrets.token_hex(6)
        self._observer.model_raised(version.model, version.number, verb, reference, error)
        return reference
