"""A plugin of each kind, as `genservice plugin new` makes it: installed, tested, trained, served and called."""

import pytest
from pages import Reader, fresh_environment

from genservice.scaffold.kinds import KINDS

PRINTED = {
    "generator": "16 pictures are in pictures",
    "iterative": "deviation [0.",
    "classifier": "[0. 2.] north",
    "scorer": "nats",
    "tagger": "loaded loaded loaded",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return fresh_environment(tmp_path_factory)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_installs_passes_its_tests_trains_and_is_served_as_its_readme_says(kind, environment, tmp_path):
    name = f"genservice-my-{kind}"
    with Reader(tmp_path, environment) as beginner:
        beginner.run(f"genservice plugin new {name} --kind {kind}")
    with Reader(tmp_path / name, environment) as reader:
        reader.follow((tmp_path / name / "README.md").read_text())
        # README.md has no files: `call.py` is one of the plugin's.
        assert PRINTED[kind] in reader.printed
    manifest = (tmp_path / name / "store" / f"my-{kind}" / "1" / "model.toml").read_text()
    assert "summary = " in manifest
