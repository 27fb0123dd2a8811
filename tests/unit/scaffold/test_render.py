"""What is rendered is sound; that it installs, trains and is served is in `tests/e2e/test_plugin_new.py`."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genservice.errors import StoreError
from genservice.scaffold.kinds import KINDS
from genservice.scaffold.names import PluginName
from genservice.scaffold.render import render, write


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin of each kind."""
    folder = tmp_path_factory.mktemp("plugins")
    for kind in KINDS:
        name = PluginName.parse(f"genservice-my-{kind}")
        write(render(name, kind), folder / name.distribution)
    return folder


def complaints(command: list[str], folder: Path) -> str:
    """What ruff says against the files of a folder; empty where it is content."""
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_each_kind_are_as_ruff_would_have_them(plugins: Path, kind: str) -> None:
    folder = plugins / f"genservice-my-{kind}"
    assert not complaints(["check", "--isolated", "--no-cache"], folder)
    assert not complaints(["format", "--isolated", "--no-cache", "--check"], folder)


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_is_left_to_fill_in(kind: str) -> None:
    files = render(PluginName.parse("genservice-moons"), kind)
    assert {"pyproject.toml", "README.md", ".gitignore", "call.py", "tests/test_family.py"} <= files.keys()
    for path, text in files.items():
        assert "$" not in text, path
        assert "MODULE" not in path
        assert text.endswith("\n"), path
        if path.endswith(".py"):
            compile(text, path, "exec")


def test_the_plugins_are_found_with_their_families_and_data_and_load_nothing_heavy(plugins: Path) -> None:
    sources = []
    for kind in KINDS:
        root = plugins / f"genservice-my-{kind}"
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        # What an installation writes.
        info = root / "src" / f"genservice_my_{kind}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        points = "".join(
            f"{name} = {module}\n" for name, module in project["entry-points"]["genservice.plugins"].items()
        )
        (info / "entry_points.txt").write_text(f"[genservice.plugins]\n{points}")
        sources.append(str(root / "src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}
    command = [sys.executable, "-m", "genservice", "plugins", "--json"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = {row["plugin"]: row for row in json.loads(listed)}
    for kind in KINDS:
        row = found[f"my-{kind}"]
        # A plugin that imports TensorFlow or Keras has this for a problem.
        assert row["problem"] is None
        assert row["families"] == [f"my-{kind}"]
        assert row["data_sources"] == [f"my-{kind}-toy"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(StoreError, match="is there already"):
        write({"README.md": "new"}, tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write({"README.md": "new"}, tmp_path / "file" / "mine")
