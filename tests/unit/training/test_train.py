from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genservice.errors import PluginError
from genservice.model.fit import DataSet
from genservice.plugin_host import Family
from genservice.store.manifest import Serving
from genservice.store.store import ModelStore
from genservice.training.evaluation import publish_measured, with_metrics
from genservice.training.train import Recipe, checkpoint_folder, train

Families = dict[str, Family]


def test_a_training_ends_in_a_version_that_says_what_it_is(
    tmp_path: Path, families: Families, data: DataSet, store: ModelStore
) -> None:
    recipe = Recipe(
        model="mine",
        seed=3,
        settings={"scale": 2.0},
        serving=Serving(max_batch_rows=8),
        summary="Clothes.",
        trained_by="genservice train clothes",
    )
    version = train(families["clothes"], data, store, recipe, cache=tmp_path)
    manifest = store.verify("mine", version)
    assert (manifest.family, manifest.plugin, manifest.plugin_version) == ("clothes", "genservice-toys", "1.0")
    assert manifest.config == {"scale": 2.0}
    assert manifest.serving.max_batch_rows == 8
    assert manifest.card.trained_by == "genservice train clothes"
    assert manifest.card.data == "clothes, 1800 rows (nobody)"
    assert manifest.card.licence == "CC0-1.0"
    assert set(manifest.files) == {"centres.npy"}


def test_progress_is_told(tmp_path: Path, families: Families, data: DataSet, store: ModelStore) -> None:
    told: list[tuple[int, int, Mapping[str, float]]] = []
    train(
        families["clothes"], data, store, Recipe(model="mine"), cache=tmp_path, progress=lambda *args: told.append(args)
    )
    assert told == [(1, 2, {"loss": 1.0}), (2, 2, {"loss": 0.5})]


def test_a_training_that_is_cut_off_publishes_nothing_and_goes_on_later(
    tmp_path: Path, families: Families, data: DataSet, store: ModelStore
) -> None:
    recipe = Recipe(model="mine", settings={"cut": True})
    with pytest.raises(KeyboardInterrupt):
        train(families["clothes"], data, store, recipe, cache=tmp_path)
    assert "mine" not in store.models()
    told: list[int] = []
    train(families["clothes"], data, store, recipe, cache=tmp_path, progress=lambda done, *_: told.append(done))
    assert told == [2]


def test_checkpoints_end_with_the_training(
    tmp_path: Path, families: Families, data: DataSet, store: ModelStore
) -> None:
    recipe = Recipe(model="mine")
    train(families["clothes"], data, store, recipe, cache=tmp_path)
    assert not checkpoint_folder(tmp_path, families["clothes"], data, recipe).exists()


def test_trainings_that_differ_share_no_checkpoints(tmp_path: Path, families: Families, data: DataSet) -> None:
    recipe = Recipe(model="mine", seed=1)
    others = [
        (families["judge"], data, recipe),
        (replace(families["clothes"], plugin_version="1.1"), data, recipe),
        (families["clothes"], data, replace(recipe, settings={"scale": 2})),
        (families["clothes"], data, replace(recipe, seed=2)),
        (families["clothes"], data, replace(recipe, model="yours")),
    ]
    folders = {checkpoint_folder(tmp_path, *other) for other in [*others, (families["clothes"], data, recipe)]}
    assert len(folders) == 6


def test_a_family_that_cannot_be_trained_is_a_clear_error(
    tmp_path: Path, families: Families, data: DataSet, store: ModelStore
) -> None:
    with pytest.raises(PluginError, match="'judge' cannot be trained here"):
        train(families["judge"], data, store, Recipe(model="mine"), cache=tmp_path)


def test_figures_replace_those_of_the_card_and_nothing_else(store: ModelStore) -> None:
    manifest = store.manifest("good", 1)
    measured = with_metrics(manifest, {"agreement": 0.9}, "genservice evaluate good")
    assert measured.card.metrics == {"agreement": 0.9}
    assert measured.card.measured_by == "genservice evaluate good"
    assert measured.model_copy(update={"card": manifest.card}) == manifest


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_measured_version_has_the_same_files(store: ModelStore, tmp_path: Path, elsewhere: bool) -> None:
    target = ModelStore([tmp_path / "shipped"]) if elsewhere else store
    number = publish_measured(store, "good", 1, target, {"agreement": 0.9}, "genservice evaluate good")
    assert number == (1 if elsewhere else 2)
    measured, source = target.verify("good", number), store.manifest("good", 1)
    assert measured.files == source.files
    assert measured.card.metrics == {"agreement": 0.9}
    assert not source.card.metrics


def test_files_in_folders_are_published_again_too(store: ModelStore) -> None:
    def build(directory: Path) -> Any:
        (directory / "inner").mkdir()
        np.save(directory / "inner" / "weights.npy", np.zeros(3))
        return store.manifest("good", 1)

    version = store.publish("nested", build)
    assert publish_measured(store, "nested", version, store, {}, "") == version + 1
    assert set(store.verify("nested", version + 1).files) == {"inner/weights.npy"}
