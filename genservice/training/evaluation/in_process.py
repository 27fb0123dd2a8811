"""Models served inside this process, so that they are measured as clients get them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.call import Rows as EngineRows
from genservice.engine.catalog import State, Version
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.sequences import pad, pad_labellings
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Chunk
from genservice.engine.verbs import VERBS, event_of
from genservice.errors import VerbNotSupported
from genservice.model.base import Comparer, LabellingScorer, Scorer, Tagger
from genservice.model.options import OptionScalar
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore
from genservice.training.evaluation.subject import Advance, Offer, Rows, in_parts


@asynccontextmanager
async def serving(
    store: ModelStore, families: Mapping[str, Family], models: Sequence[ModelName], *, trust_graphs: bool = False
) -> AsyncIterator[Sequence["EngineSubject"]]:
    """Loads some models, and no other.

    Args:
        store: Where they are.
        families: Families by name.
        models: Their names, each with or without the number of a version.
        trust_graphs: Whether they may hold graphs of their makers' own.

    Yields:
        The models, in the order of the names.

    Raises:
        NotFound: There is no such model or version.
        ModelFailed: One cannot be loaded.
    """
    # Nobody else waits, so a row may wait as long as it takes.
    settings = EngineSettings(max_queue_s=0, trust_graphs=trust_graphs)
    engine = Engine(store, families, inline_workers(settings), settings)
    try:
        yield [EngineSubject(engine, await _loaded(engine, name)) for name in models]
    finally:
        await engine.stop()


class EngineSubject:
    """A version on an engine.

    Args:
        engine: Serves it.
        version: It; ready.
    """

    def __init__(self, engine: Engine, version: Version) -> None:
        self._engine = engine
        self._version = version

    @property
    def offer(self) -> Offer:
        """What it offers."""
        model, manifest = self._version.description, self._version.manifest
        assert model is not None
        assert manifest is not None
        event = event_of(model)
        if event is None:
            raise VerbNotSupported(f"{self._version.name} can only predict: there are no figures of that.")
        return Offer(
            name=str(self._version.name),
            verbs=self._version.verbs,
            labels=tuple(model.labels),
            options=tuple(model.Options.model_fields),
            event=event,
            threshold=model.threshold if isinstance(model, Comparer) else 0.0,
            most_tokens=0 if model.tokens is None else model.tokens.shape[0],
            card=manifest.card.markdown(),
        )

    async def draw(
        self, sample_count: int, *, seed: int, first_index: int, options: Mapping[str, OptionScalar], advance: Advance
    ) -> Rows:
        """Draws samples."""
        stream = self._engine.sample(
            self._version.name, sample_count=sample_count, seed=seed, first_index=first_index, options=options
        )
        chunks: list[Any] = []
        async for chunk in stream.events():
            assert isinstance(chunk, Chunk)
            chunks.append(chunk.results[_result("sample")])
            advance(len(chunk))
        if self.offer.is_text:
            return [text for chunk in chunks for text in chunk]
        return np.concatenate(chunks)

    async def ask(self, verb: str, rows: Rows, advance: Advance) -> NDArray[Any]:
        """Classifies or embeds rows."""
        answers = [await self._call(verb, {"inputs": part}) for part in in_parts(rows, advance)]
        # Clients get float32 whatever the model computes in, and scores as they are.
        return np.concatenate(answers).astype(np.float32, copy=False)

    async def score(self, rows: Rows, advance: Advance) -> tuple[NDArray[Any], str]:
        """Gives log p(x)."""
        model = self._version.description
        assert isinstance(model, Scorer)
        scores = [await self._call("score", {"inputs": part}) for part in in_parts(rows, advance)]
        return np.concatenate(scores), model.score_kind.value

    async def tag(self, sequences: Sequence[Rows], advance: Advance) -> list[list[str]]:
        """Names the label of each position."""
        model = self._tagger
        labels: list[list[str]] = []
        for part in in_parts(sequences, advance):
            inputs = pad(model, part)
            places = await self._call("tag", inputs)
            for row, length in zip(places, inputs["lengths"], strict=True):
                labels.append([model.labels[place] for place in row[: int(length)]])
        return labels

    async def score_labellings(
        self, sequences: Sequence[Rows], labellings: Sequence[Sequence[str]], advance: Advance
    ) -> tuple[NDArray[Any], str]:
        """Gives log p(labelling | sequence)."""
        model = self._tagger
        assert isinstance(model, LabellingScorer)
        scores: list[NDArray[Any]] = []
        places = iter(labellings)
        for part in in_parts(sequences, advance):
            inputs = pad(model, part)
            lengths = np.asarray(inputs["lengths"], np.int32)
            given = [next(places) for _ in range(len(part))]
            scores.append(await self._call("score", {**inputs, "labels": pad_labellings(model, given, lengths)}))
        return np.concatenate(scores), model.score_kind.value

    @property
    def _tagger(self) -> Tagger:
        model = self._version.description
        assert isinstance(model, Tagger)
        return model

    async def _call(self, verb: str, inputs: Mapping[str, EngineRows]) -> NDArray[Any]:
        _, results = await self._engine.call(self._version.name, verb, inputs)
        return np.asarray(results[_result(verb)])


def _result(verb: str) -> str:
    """Name of a verb's first result."""
    return VERBS[verb].outputs[0]


async def _loaded(engine: Engine, name: ModelName) -> Version:
    version = await engine.load(name)
    changed = asyncio.Event()
    forget = engine.catalog.listen(lambda _: changed.set())
    try:
        while version.state in (State.LOADING, State.WARMING):
            await changed.wait()
            changed.clear()
    finally:
        forget()
    return engine.catalog.ready(version.name)
