"""Puts figures on a model's card. Versions never change, so a card with figures belongs to a new version."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore
from genservice.training.evaluation.figures import Figure


def with_metrics(manifest: Manifest, metrics: Mapping[str, Figure], measured_by: str) -> Manifest:
    """A manifest whose card has other figures.

    Args:
        manifest: What the version is.
        metrics: The figures, by name.
        measured_by: The command that measured them.
    """
    card = manifest.card.model_copy(update={"metrics": dict(metrics), "measured_by": measured_by})
    return manifest.model_copy(update={"card": card})


def publish_measured(
    source: ModelStore,
    model: str,
    version: int,
    target: ModelStore,
    metrics: Mapping[str, Figure],
    measured_by: str,
) -> int:
    """Publishes the files of a version again, with the figures on their card.

    Args:
        source: Where the version is.
        model: Name of the model.
        version: Number of the version.
        target: What gets the new version; may be the source.
        metrics: The figures, by name.
        measured_by: The command that measured them.

    Returns:
        The new version's number.

    Raises:
        IntegrityError: The version's files are damaged.
        StoreError: The new version cannot be written.
    """
    manifest = source.verify(model, version)

    def build(directory: Path) -> Manifest:
        for name in manifest.files:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.directory(model, version) / name, directory / name)
        return with_metrics(manifest, metrics, measured_by)

    return target.publish(model, build)
