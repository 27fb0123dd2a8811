"""The engine's front: loads versions, takes calls, drains."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from genservice.engine.admission import Admission
from genservice.engine.aside import aside, work_bytes_of
from genservice.engine.call import Call, Output, Results, Rows
from genservice.engine.catalog import Catalog, State, Version
from genservice.engine.clock import Clock, LoopClock
from genservice.engine.flow import Flow
from genservice.engine.loader import Loader
from genservice.engine.observer import Observer, SilentObserver
from genservice.engine.seat import WorkerMaker
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import NO_FLOW, Event, Submission
from genservice.engine.validation import check_draw, check_inputs, check_on_the_way, check_output, check_verb
from genservice.engine.verbs import VERBS, check_function, input_specs, verb_of
from genservice.errors import ContentChanged, GenserviceError, ModelNotReady, ServerDraining
from genservice.model.base import IterativeGenerator
from genservice.model.options import OptionScalar, parse_options
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """A stream of samples that was admitted.

    Args:
        version: What answers.
        seed: The seed in effect.
        chunk_rows: Most samples in a chunk.
        as_ready: Whether samples may be given before others of lower index.
        submission: The rows.
    """

    version: Version
    seed: int
    chunk_rows: int
    as_ready: bool
    submission: Submission

    def events(self) -> AsyncGenerator[Event, None]:
        """The samples, and what was asked to be seen of them on their way."""
        # Each sample of an iterative model takes long: a chunk does not wait for others.
        whole = not isinstance(self.version.description, IterativeGenerator)
        return self.submission.events(self.chunk_rows, as_ready=self.as_ready, whole_chunks=whole)


class Use(AbstractContextManager[Version]):
    """A version that stays for as long as this is entered.

    Args:
        version: It; ready.
    """

    __slots__ = ("_batcher", "_version")

    def __init__(self, version: Version) -> None:
        assert version.batcher is not None
        self._version, self._batcher = version, version.batcher

    def __enter__(self) -> Version:
        """Begins to hold it."""
        self._batcher.hold()
        return self._version

    def __exit__(self, *_: object) -> None:
        """Lets it go."""
        self._batcher.release()


class Engine:
    """Loads versions into workers, and batches calls for them.

    Args:
        store: Where versions are.
        families: Families by name.
        workers: What makes the workers, by a name for people.
        settings: Limits.
        clock: Time.
        observer: Is told what happens.
    """

    def __init__(
        self,
        store: ModelStore,
        families: Mapping[str, Family],
        workers: Mapping[str, WorkerMaker],
        settings: EngineSettings | None = None,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self._observer = observer or SilentObserver()
        self.catalog = Catalog(self._observer)
        self._loader = Loader(
            store, families, workers, self.settings, self.catalog, clock or LoopClock(), self._observer
        )
        self._store = store
        self._admission = Admission(self.settings, clock or LoopClock())
        self._draining = False

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    @property
    def ready(self) -> bool:
        """Whether the versions chosen at start are settled, the required models are ready, and nothing is drained."""
        return self._loader.settled and not self._draining and not self.missing_models

    @property
    def missing_models(self) -> list[str]:
        """Required models that nothing answers for."""
        known = self.catalog.models()
        return [
            name
            for name in self.settings.required_models
            if name not in known or (default := self.catalog.default(name)) is None or default.state is not State.READY
        ]

    def start(self) -> None:
        """Begins to load, for each model, the newest version and those with a label; required models first."""
        self._loader.start()

    async def started(self) -> None:
        """Waits until every version chosen at start is ready or failed."""
        await self._loader.started()

    async def load(self, name: ModelName) -> Version:
        """Begins to load a version, if it is not loaded or loading.

        Raises:
            NotFound: There is no such model, version or label.
            ServerDraining: Nothing new is taken.
        """
        if self._draining:
            raise ServerDraining("The server is shutting down.", retry_after_s=1.0)
        return await self._loader.load(name)

    def unload(self, name: ModelName) -> Version:
        """Begins to drain and unload a version.

        Raises:
            NotFound: There is no such model, version or label.
        """
        return self._loader.unload(name)

    async def set_label(self, name: ModelName, number: int) -> None:
        """Points a label at a version that is ready, or removes it where the number is 0.

        Raises:
            NotFound: There is no such model or version.
            ModelNotReady: The version is not ready.
        """
        assert name.label is not None
        self.catalog.versions(name.model)
        if number:
            self.catalog.ready(ModelName(name.model, version=number))
        await asyncio.to_thread(self._store.set_label, name.model, name.label, number or None)
        self.catalog.set_labels(name.model, await asyncio.to_thread(self._store.labels, name.model))

    def sample(
        self,
        name: ModelName,
        *,
        sample_count: int,
        first_index: int = 0,
        seed: int | None = None,
        options: Mapping[str, OptionScalar] | None = None,
        conditions: Mapping[str, Rows] | None = None,
        output: Output | None = None,
        chunk_rows: int = 0,
        content_hash: str = "",
        as_ready: bool = False,
        preview_steps: int = 0,
        text_deltas: bool = False,
        timeout_s: float | None = None,
        least_rows: int | None = None,
        flow: Flow = NO_FLOW,
    ) -> Draw:
        """Admits a request for samples.

        Args:
            name: The model, or one version of it.
            sample_count: Samples in all.
            first_index: Index of the first.
            seed: Seed; None: one is drawn.
            options: Options by name.
            conditions: Other inputs of the draw: one row for all samples, or one a sample.
            output: Form of the samples.
            chunk_rows: Most samples in a chunk; 0: the engine chooses.
            content_hash: Refuse a version with another hash; empty: take any.
            as_ready: Whether samples may be given before others of lower index.
            preview_steps: Steps between previews of a sample; 0: none.
            text_deltas: Whether text is given as it is drawn.
            timeout_s: Seconds until the request's deadline; None: none.
            least_rows: Samples that are made before the deadline at the least; None: all.
            flow: Whose rows they are.

        Returns:
            The stream.

        Raises:
            GenserviceError: The request is refused; the class and the field say why.
        """
        version, model = self._ready(name, "sample", content_hash)
        refused = self._refuser(version, "sample", sample_count)
        try:
            if content_hash and content_hash != version.content_hash:
                raise ContentChanged(
                    f"{version.name} has the content {version.content_hash}, and the request asks for {content_hash}.",
                    field="content_hash",
                )
            check_draw(sample_count, first_index, seed, chunk_rows, self.settings.max_sample_count)
            check_on_the_way(model, preview_steps, text_deltas)
            form = check_output(model, output or Output())
            parsed = parse_options(model.Options, options or {}, model.labels)
            inputs = check_inputs(
                model, "sample", parsed, conditions or {}, sample_count, self.settings.max_image_bytes
            )
            rows = self._admission.chunk_rows(version, chunk_rows)
            seed = secrets.randbits(64) if seed is None else seed
            call = Call("sample", sample_count, parsed, inputs, seed, first_index, form, preview_steps, text_deltas)
            submission = self._admission.admit_draw(version, call, rows, timeout_s, flow, least_rows=least_rows)
        except GenserviceError as error:
            refused(error)
            raise
        return Draw(version, seed, rows, as_ready, submission)

    def using(self, name: ModelName, verb: str) -> "Use":
        """Gives the version that answers, which stays for as long as it is used, whatever is loaded meanwhile.

        So what is asked of it in several calls is answered by one version, in a drain too.

        Args:
            name: The model, or one version of it.
            verb: What it is used for.

        Raises:
            GenserviceError: No such version is ready, or it has no such verb.
        """
        return Use(self._ready(name, verb)[0])

    def check_size(self, version: Version, verb: str, row_count: int, flow: Flow = NO_FLOW) -> None:
        """Refuses a call that could never be answered at once, before anything is made of its rows.

        Raises:
            OutOfRange: It has too many rows.
        """
        try:
            self._admission.check_size(version, verb, row_count, flow)
        except GenserviceError as error:
            self._refuser(version, verb, row_count)(error)
            raise

    async def call(
        self,
        name: ModelName | Version,
        function: str,
        inputs: Mapping[str, Rows],
        options: Mapping[str, OptionScalar] | None = None,
        *,
        timeout_s: float | None = None,
        flow: Flow = NO_FLOW,
        beside_bytes: int = 0,
        patient: bool = False,
    ) -> tuple[Version, Results]:
        """Runs a function that is answered at once.

        Args:
            name: The model, or one version of it; or a version that is being used.
            function: Any verb that a worker runs but `sample`; `predict:NAME` for a signature.
            inputs: By name, one value a row; shared ones, such as `k`, have one row.
            options: Options by name.
            timeout_s: Seconds until the request's deadline; None: none.
            flow: Whose rows they are.
            beside_bytes: Bytes of the request that the model does not get.
            patient: Whether the call is part of a request that was admitted: it waits for room.

        Returns:
            The version that answered, and the results.

        Raises:
            GenserviceError: The request is refused, or failed.
        """
        if isinstance(name, ModelName):
            with self.using(name, verb_of(function)) as version:
                return await self.call(
                    version,
                    function,
                    inputs,
                    options,
                    timeout_s=timeout_s,
                    flow=flow,
                    beside_bytes=beside_bytes,
                    patient=patient,
                )
        version, model = name, name.description
        assert model is not None
        check_function(model, function)
        shared = VERBS[verb_of(function)].shared
        counts = [len(inputs[key]) for key in input_specs(model, function) if key in inputs and key not in shared]
        rows = counts[0] if counts else 0
        refused = self._refuser(version, function, rows)
        try:
            if not patient:
                self._admission.check_size(version, function, max(counts, default=0), flow, inputs)
            parsed = parse_options(model.Options, options or {}, model.labels)
            checked = await aside(
                work_bytes_of(inputs.values()),
                check_inputs,
                *(model, function, parsed, inputs, rows, self.settings.max_image_bytes),
            )
            if version.batcher is None:
                raise ModelNotReady(f"{version.name} is {version.state}.", field="model", retry_after_s=1.0)
            call = Call(function, rows, parsed, checked)
            submission = self._admission.admit_call(
                version, call, timeout_s, flow, beside_bytes=beside_bytes, patient=patient
            )
        except GenserviceError as error:
            refused(error)
            raise
        results = await submission.results()
        self._admission.check_answer(results)
        return version, results

    async def drain(self, limit_s: float) -> None:
        """Takes nothing new, and waits for what is under way; what is left at the limit ends with SERVER_DRAINING.

        Long draws do not hold it up: they end with SERVER_DRAINING as soon as the rows that are being made are read,
        and the error says at which index they can go on elsewhere.

        Args:
            limit_s: Most seconds to wait.
        """
        self._draining = True
        for model in self.catalog.models():
            self.catalog.changed(model)
        batchers = [version.batcher for version in self._served() if version.batcher is not None]
        for batcher in batchers:
            batcher.end_streams(_go_on_from)
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(batcher.drained() for batcher in batchers))
        except TimeoutError:
            for batcher in batchers:
                batcher.fail_all(
                    ServerDraining("The server is shutting down: go on at another replica.", retry_after_s=1.0)
                )

    async def stop(self) -> None:
        """Ends loading, and the workers."""
        self._draining = True
        for version in self._served():
            if version.batcher is not None:
                version.batcher.fail_all(ServerDraining("The server is shutting down.", retry_after_s=1.0))
        await self._loader.stop()

    def _served(self) -> list[Version]:
        return [
            version for model in self.catalog.models() for version in self.catalog.versions(model) if version.batcher
        ]

    def _ready(self, name: ModelName, verb: str, content_hash: str = "") -> tuple[Version, Any]:
        if self._draining:
            raise ServerDraining("The server is shutting down: go to another replica.", retry_after_s=1.0)
        if content_hash and name.version is not None:
            version = self.catalog.find(name.model, name.version)
            if version is not None and version.state is State.UNLOADED:
                self._loader.recall(version, content_hash)
        version = self.catalog.ready(name, content_hash)
        check_verb(version, verb)
        if version.batcher is None:
            # It is being given up at this moment.
            raise ModelNotReady(f"{version.name} is {version.state}.", field="model", retry_after_s=1.0)
        return version, version.description

    def _refuser(self, version: Version, verb: str, rows: int) -> Any:
        return lambda error: self._observer.refused(version.model, version.number, verb, error.reason, rows)


def _go_on_from(index: int) -> ServerDraining:
    return ServerDraining(
        f"The server is shutting down: go on at another replica, from index {index}.",
        metadata={"next_index": str(index)},
        retry_after_s=1.0,
    )
