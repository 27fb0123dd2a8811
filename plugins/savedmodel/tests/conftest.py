"""Graphs of users, made for the tests."""

import re
import runpy
import shutil
import tomllib
from pathlib import Path

import pytest

from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    """The README's blocks of code."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """Of the README: the folder in which its Python ran, the names that this made, and its configs."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names = {}
        for number, code in enumerate(blocks("python")):
            script = folder / f"example{number}.py"
            script.write_text(code)
            names |= runpy.run_path(str(script))
    return folder, names, [tomllib.loads(config) for config in blocks("toml")]


@pytest.fixture(scope="session")
def publish():
    """Makes a version of a graph: its folder."""

    def publish(store, model, family, path, config):
        def build(directory):
            if path.is_dir():
                shutil.copytree(path, directory / path.name)
            else:
                shutil.copy(path, directory)
            return Manifest(
                family=family.family,
                plugin="genservice-savedmodel",
                plugin_version="0.1.0",
                config=config,
                serving=Serving(max_batch_rows=8, batch_sizes=(1, 8)),
            )

        version = ModelStore([store]).publish(model, build)
        return store / model / str(version)

    return publish
