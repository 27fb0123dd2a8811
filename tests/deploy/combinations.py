"""Every combination of an overlay and components that deploy/README.md allows."""

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, kustomize

OVERLAYS = ("dev", "cpu", "gpu")
AUTOSCALERS = ("", "hpa", "keda")
OPTIONAL = ("prometheus", "tls", "object-store", "grpc-route")


@dataclass(frozen=True)
class Combination:
    """An overlay and components on top of it.

    Args:
        overlay: Name of the overlay.
        components: Names of the components.
    """

    overlay: str
    components: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `cpu+keda+prometheus`."""
        return "+".join((self.overlay, *self.components))

    def kustomization(self, folder: Path, more: str = "") -> str:
        """The kustomization.yaml of a folder that has it, as the README has operators write it."""
        namespace = re.search(
            r"^namespace: (\S+)$", (DEPLOY / f"overlays/{self.overlay}/kustomization.yaml").read_text(), re.M
        )
        assert namespace is not None
        lines = [f"namespace: {namespace[1]}", f"resources: [{_path(f'overlays/{self.overlay}', folder)}]"]
        if self.components:
            lines.append(f"components: [{', '.join(_path(f'components/{name}', folder) for name in self.components)}]")
        return "\n".join((*lines, more))

    def render(self, folder: Path, more: str = "") -> str:
        """What it renders to.

        Args:
            folder: An empty folder.
            more: More of the kustomization, such as patches.
        """
        (folder / "kustomization.yaml").write_text(self.kustomization(folder, more))
        return kustomize(folder)


def combinations() -> list[Combination]:
    """All combinations."""
    found = []
    for overlay, scaler, *chosen in product(OVERLAYS, AUTOSCALERS, *((False, True) for _ in OPTIONAL)):
        optional = [name for name, wanted in zip(OPTIONAL, chosen, strict=True) if wanted]
        if scaler and "prometheus" not in optional:
            continue  # both autoscalers ask Prometheus
        extra = ["network-policy"] if overlay == "dev" else []
        found.append(Combination(overlay, tuple(filter(None, (scaler, *optional, *extra)))))
    return [*(Combination(overlay) for overlay in OVERLAYS), *found]


def render_all(wanted: Mapping[str, tuple[Combination, str]], folders: pytest.TempPathFactory) -> dict[str, Path]:
    """Renders many, some at once.

    Args:
        wanted: By a name: a combination, and more of its kustomization.
        folders: Makes folders.

    Returns:
        The files, by name.
    """
    files = {name: folders.mktemp("rendered") / "rendered.yaml" for name in wanted}

    def render(name: str) -> None:
        combination, more = wanted[name]
        files[name].write_text(combination.render(files[name].parent, more))

    with ThreadPoolExecutor() as pool:
        list(pool.map(render, wanted))
    return files


def _path(name: str, folder: Path) -> str:
    # kustomize takes no absolute paths.
    return os.path.relpath(DEPLOY / name, folder.resolve())
