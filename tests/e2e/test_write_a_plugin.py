"""`docs/write-a-plugin.md` does what it says: its files are written and its commands run, in the order of the page."""

import re
from pathlib import Path

import pytest
from pages import Reader, fresh_environment

import genservice
from genservice.scaffold.kinds import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"


@pytest.mark.parametrize("name", [*genservice.__all__, *KINDS])
def test_the_page_tells_of_all_that_an_author_can_use(name):
    assert re.search(rf"\b{name}\b", PAGE.read_text()), f"{PAGE.name} says nothing of {name}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_leads_from_an_empty_folder_to_served_models(tmp_path, tmp_path_factory):
    with Reader(tmp_path, fresh_environment(tmp_path_factory)) as reader:
        reader.follow(PAGE.read_text())
        printed = reader.printed
    assert "blobs" in printed
    assert "mean [2. 1.]" in printed
    assert "named ['east', 'east', 'east']" in printed
    assert (tmp_path / "points.npz").exists()
