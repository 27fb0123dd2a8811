"""Watchers wake when something has changed."""

import asyncio

import pytest

from genservice.engine.catalog import Catalog
from genservice.engine.observer import SilentObserver
from genservice.errors import ServerDraining
from genservice.server.changes import Changes


@pytest.fixture
def catalog():
    return Catalog(lambda model: {}, SilentObserver())


async def test_a_watcher_is_woken_now_and_on_each_change_of_its_model(catalog):
    watch = Changes(catalog).watch("toy")
    await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    catalog.changed("other")
    await asyncio.sleep(0)
    assert not waiting.done()
    catalog.changed("toy")
    await waiting
    await watch.aclose()


async def test_changes_while_the_watcher_is_busy_are_one(catalog):
    watch = Changes(catalog).watch()
    await anext(watch)
    for _ in range(5):
        catalog.changed("toy")
    await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_closing_ends_every_watcher_after_one_last_look(catalog):
    changes = Changes(catalog)
    watch = changes.watch("toy")
    await anext(watch)
    changes.close()
    await anext(watch)
    with pytest.raises(ServerDraining):
        await anext(watch)
    catalog.changed("toy")
