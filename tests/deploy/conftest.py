"""What several tests of manifests need."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.combinations import combinations, render_all
from tests.deploy.containers import build_image


@dataclass(frozen=True)
class Rendered:
    """A folder of rendered manifests.

    Args:
        files: By name of the combination.
    """

    files: dict[str, Path]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Every combination, rendered."""
    return Rendered(render_all({each.name: (each, "") for each in combinations()}, tmp_path_factory))


@pytest.fixture(scope="session")
def image() -> str:
    """The name of the image for the CPU, built from this folder."""
    return build_image()
