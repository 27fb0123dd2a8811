"""Models served inside this process, so that they are measured as clients get them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.engine.catalog import State, Version
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.settings import EngineSettings
from genservice.engine.submission import Chunk
from genservice.engine.verbs import VERBS
from genservice.model.options import OptionScalar
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore

CALL_ROWS = 1000
"""Inputs handed to the engine at a time."""

Advance = Callable[[int], None]
"""Told of rows that are done."""


@asynccontextmanager
async def serving(
    store: ModelStore, families: Mapping[str, Family], models: Sequence[ModelName]
) -> AsyncIterator[tuple[Engine, list[Version]]]:
    """Loads some models, and no other.

    Args:
        store: Where they are.
        families: Families by name.
        models: Their names, each with or without the number of a version.

    Yields:
        The engine, and the versions in the order of the names.

    Raises:
        NotFound: There is no such model or version.
        ModelFailed: One cannot be loaded.
    """
    settings = EngineSettings()
    engine = Engine(store, families, inline_workers(settings), settings)
    try:
        yield engine, [await _loaded(engine, name) for name in models]
    finally:
        await engine.stop()


async def draw(
    engine: Engine,
    version: Version,
    sample_count: int,
    *,
    seed: int,
    first_index: int,
    options: Mapping[str, OptionScalar],
    advance: Advance,
) -> NDArray[Any]:
    """Draws samples.

    Returns:
        `[sample_count, *event.shape]`.
    """
    stream = engine.sample(version.name, sample_count=sample_count, seed=seed, first_index=first_index, options=options)
    chunks = []
    async for chunk in stream.events():
        assert isinstance(chunk, Chunk)
        chunks.append(np.asarray(chunk.results[VERBS["sample"].output]))
        advance(len(chunk))
    return np.concatenate(chunks)


async def answers(engine: Engine, version: Version, verb: str, rows: NDArray[Any], advance: Advance) -> NDArray[Any]:
    """Runs a verb over many rows.

    Args:
        engine: Serves the version.
        version: Has the verb.
        verb: Any but `sample`.
        rows: `[rows, *event.shape]`.
        advance: Told of rows that are done.

    Returns:
        One answer a row.
    """
    parts = []
    for start in range(0, len(rows), CALL_ROWS):
        part = rows[start : start + CALL_ROWS]
        _, results = await engine.call(version.name, verb, {"inputs": part})
        parts.append(np.asarray(results[VERBS[verb].output]))
        advance(len(part))
    return np.concatenate(parts)


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
