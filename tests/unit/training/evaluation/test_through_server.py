"""Through a server every kind of model has the figures that it has in process."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from genservice.cli.service import in_background
from genservice.cli.settings import read_settings
from genservice.errors import InvalidRequest, ModelNotReady, VerbNotSupported
from genservice.plugin_host import Family, PluginHost
from genservice.store.manifest import Manifest
from genservice.store.names import ModelName
from genservice.store.store import ModelStore
from genservice.training.evaluation import Evaluation, connecting, evaluate, serving
from genservice_client import Client, ModelState, NotFoundError

SETTLED = (ModelState.READY, ModelState.FAILED, ModelState.UNSPECIFIED)


@pytest.fixture
def store(zoo: Callable[..., ModelStore]) -> ModelStore:
    """All toys, and a model no version of which can be loaded."""
    store = zoo()
    for _ in range(2):
        number = store.publish("broken", lambda directory: manifest(store, directory))
        path = store.directory("broken", number) / "weights.npy"
        path.chmod(0o644)
        path.write_bytes(b"altered")
    return store


def manifest(store: ModelStore, directory: Path) -> Manifest:
    (directory / "weights.npy").write_bytes(b"")
    return store.manifest("eye", 1)


@pytest.fixture
def address(store: ModelStore, kinds: Mapping[str, Family]) -> Iterator[str]:
    host = PluginHost()
    host.families.update(kinds)
    root = store.directory("eye", 1).parents[1]
    settings = read_settings({"store": [root], "server": {"listen": "127.0.0.1:0", "http_listen": ""}})
    with in_background(settings, host) as address:
        with Client(address) as client:
            for model in client.models():
                for change in client.watch_model(model.name):
                    if all(version.state in SETTLED for version in change.versions):
                        break
        yield address


def without_speeds(evaluation: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in evaluation.to_json().items() if not name.endswith("_per_second")}


@pytest.mark.parametrize(
    ("model", "judge", "source"),
    [
        ("mixture", "eye", "rows"),
        ("tagger", None, "sequences"),
        ("likeness", None, "rows"),
        ("letters", None, "texts"),
    ],
)
async def test_the_figures_are_those_of_the_model_in_process(
    store: ModelStore,
    kinds: Mapping[str, Family],
    address: str,
    request: pytest.FixtureRequest,
    model: str,
    judge: str | None,
    source: str,
) -> None:
    data = request.getfixturevalue(source)
    names = [name for name in (model, judge) if name is not None]
    settings: dict[str, Any] = {"samples": 60, "excerpt_characters": 7}
    async with connecting(address, names) as (subject, *judges):
        served = await evaluate(subject, data, judge=judges[0] if judges else None, **settings)
    async with serving(store, kinds, [ModelName(name) for name in names]) as (subject, *judges):
        here = await evaluate(subject, data, judge=judges[0] if judges else None, **settings)
    assert without_speeds(served) == without_speeds(here)
    assert served.card == here.card


async def test_how_long_a_text_may_be_is_to_be_said(address: str, texts: Any) -> None:
    async with connecting(address, ["letters"]) as [subject]:
        with pytest.raises(InvalidRequest, match="say how long the excerpts are"):
            await evaluate(subject, texts)


async def test_a_model_that_only_predicts_has_no_figures(address: str, zoo: Any, kinds: Any, rows: Any) -> None:
    async with connecting(address, ["sums"]) as [subject]:
        with pytest.raises(VerbNotSupported, match="can only predict"):
            await evaluate(subject, rows)
    async with serving(zoo(), kinds, [ModelName("sums")]) as [subject]:
        with pytest.raises(VerbNotSupported, match="can only predict"):
            await evaluate(subject, rows)


async def test_a_model_that_is_not_there_or_not_ready_says_so(address: str) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'letters'"):
        async with connecting(address, ["leters"]):
            pass
    with pytest.raises(ModelNotReady, match="No version of models/broken is ready"):
        async with connecting(address, ["broken"]):
            pass
