"""Trains a family, and publishes what comes out as a version of a model."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genservice.errors import PluginError
from genservice.model.fit import DataSet, FitRun, Progress
from genservice.plugin_host import Family
from genservice.store.manifest import Card, Manifest, Serving
from genservice.store.store import ModelStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is trained, and how.

    Args:
        model: Name of the model that gets the version.
        seed: Seed of everything random in the training.
        settings: The family's own settings of training.
        serving: How the engine is to run the version.
        summary: What the model is, for its card.
        limits: What the model cannot do, for its card.
        trained_by: The command, for its card.
    """

    model: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    serving: Serving = field(default_factory=Serving)
    summary: str = ""
    limits: str = ""
    trained_by: str = ""


def checkpoint_folder(cache: Path, family: Family, data: DataSet, recipe: Recipe) -> Path:
    """Where a training keeps its checkpoints: `<cache>/checkpoints/<model>-<seed>/<what else the training depends on>`.

    So a training that was cut off goes on, and one with other settings begins anew.
    """
    rest = json.dumps([family.name, family.plugin_version, data.name, recipe.settings], sort_keys=True, default=str)
    digest = hashlib.sha256(rest.encode()).hexdigest()[:12]
    return cache / "checkpoints" / f"{recipe.model}-{recipe.seed}" / digest


def train(
    family: Family, data: DataSet, store: ModelStore, recipe: Recipe, *, cache: Path, progress: Progress | None = None
) -> int:
    """Trains a version and publishes it. Its checkpoints outlive a training that is cut off, and no other.

    Args:
        family: What to train.
        data: What to train on.
        store: What gets the version.
        recipe: How.
        cache: Folder that the checkpoints are kept in.
        progress: Is told how far it is.

    Returns:
        The version's number.

    Raises:
        PluginError: The family cannot be trained.
        StoreError: The version cannot be written.
    """
    checkpoints = checkpoint_folder(cache, family, data, recipe)
    checkpoints.mkdir(parents=True, exist_ok=True)

    def build(directory: Path) -> Manifest:
        run = FitRun(directory, checkpoints, data, recipe.seed, recipe.settings, progress or (lambda *_: None))
        try:
            config = family.model.fit(run)
        except NotImplementedError as refusal:
            raise PluginError(str(refusal)) from refusal
        return Manifest(
            family=family.name,
            plugin=family.plugin,
            plugin_version=family.plugin_version,
            config=config,
            serving=recipe.serving,
            card=Card(
                summary=recipe.summary,
                data=f"{data.name}, {len(data.train_inputs)} rows ({data.citation})",
                licence=data.licence,
                trained_by=recipe.trained_by,
                limits=recipe.limits,
            ),
        )

    version = store.publish(recipe.model, build)
    shutil.rmtree(checkpoints)
    with suppress(OSError):
        # Another training of the same name and seed may have its checkpoints beside.
        checkpoints.parent.rmdir()
    return version
