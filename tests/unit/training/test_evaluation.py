import json
from dataclasses import replace

import numpy as np
import pytest

from genservice.errors import DataError, GenserviceError, InvalidRequest, ModelFailed, NotFound, VerbNotSupported
from genservice.model.fit import DataSet
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore
from genservice.training.evaluation import evaluate_classifier, evaluate_generator
from genservice.training.figures import ClassifierFigures, GeneratorFigures
from genservice.training.served import serving

Families = dict[str, Family]


async def measure(
    store: ModelStore, families: Families, data: DataSet, model: str, judge: str = "judge", **arguments: int
) -> GeneratorFigures:
    async with serving(store, families, [ModelName(model), ModelName(judge)]) as (engine, versions):
        return await evaluate_generator(engine, *versions, data, **{"samples": 900, "seed": 5, **arguments})


async def test_a_generator_that_is_as_good_as_the_data_measures_so(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    figures = await measure(store, families, data, "good")
    assert figures.rows == 900
    assert figures.agreement > 0.9
    assert set(figures.agreement_by_label) == set(data.labels)
    assert figures.frechet_ratio < 4
    assert figures.embedding_spread == pytest.approx(1, abs=0.1)
    assert figures.pixel_spread == pytest.approx(1, abs=0.1)
    assert figures.samples_per_second > 0


async def test_a_generator_that_collapsed_is_told_by_its_spread_though_the_judge_agrees(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    figures = await measure(store, families, data, "collapsed")
    assert figures.agreement == 1
    assert figures.embedding_spread < 0.1
    assert figures.frechet_ratio > 20


async def test_figures_follow_from_the_seed(store: ModelStore, families: Families, data: DataSet) -> None:
    first, again = [await measure(store, families, data, "good") for _ in range(2)]
    assert replace(first, samples_per_second=0) == replace(again, samples_per_second=0)
    assert (await measure(store, families, data, "good", seed=6)).frechet_distance != first.frechet_distance


async def test_figures_become_json_and_a_card(store: ModelStore, families: Families, data: DataSet) -> None:
    figures = await measure(store, families, data, "good")
    assert json.loads(json.dumps(figures.to_json()))["agreement"] == figures.agreement
    metrics = figures.metrics()
    assert metrics["agreement"] == pytest.approx(figures.agreement, rel=1e-3)
    assert metrics["judge"] == "models/judge/versions/1"
    assert "agreement_by_label" not in metrics


async def test_progress_ends_at_its_total(store: ModelStore, families: Families, data: DataSet) -> None:
    told: list[tuple[int, int]] = []
    names = [ModelName("good"), ModelName("judge")]
    async with serving(store, families, names) as (engine, versions):
        await evaluate_generator(
            engine, *versions, data, samples=900, progress=lambda done, total, _: told.append((done, total))
        )
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("model", "judge", "samples", "error", "message"),
    [
        ("judge", "judge", 900, InvalidRequest, "has no labels with an option 'label'"),
        ("good", "collapsed", 900, VerbNotSupported, "it cannot classify and embed"),
        ("good", "judge", 5, InvalidRequest, "two samples of each of the 3 labels"),
        ("good", "judge", 3000, DataError, "rows, and 6000 are needed: ask for fewer"),
        ("godo", "judge", 900, NotFound, "Did you mean 'good'"),
    ],
)
async def test_what_cannot_be_measured_says_why(
    store: ModelStore,
    families: Families,
    data: DataSet,
    model: str,
    judge: str,
    samples: int,
    error: type[GenserviceError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await measure(store, families, data, model, judge, samples=samples)


async def test_data_without_the_generators_labels_is_refused(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    with pytest.raises(DataError, match="no rows of glove"):
        await measure(store, families, replace(data, labels=("hat", "mitten", "scarf")), "good")


async def test_a_model_that_cannot_be_loaded_says_why(store: ModelStore, families: Families, data: DataSet) -> None:
    path = store.directory("good", 1) / "centres.npy"
    path.chmod(0o644)
    path.write_bytes(b"altered")
    with pytest.raises(ModelFailed, match=r"centres\.npy"):
        await measure(store, families, data, "good")


async def test_a_classifier_is_measured_on_held_out_rows_with_its_own_order_of_labels(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    async with serving(store, families, [ModelName("judge")]) as (engine, [judge]):
        figures = await evaluate_classifier(engine, judge, data)
    assert isinstance(figures, ClassifierFigures)
    assert figures.rows == 600
    assert figures.labels == ("scarf", "glove", "hat")
    confusion = np.array(figures.confusion_matrix)
    assert confusion.sum(axis=1).tolist() == [200, 200, 200]
    assert figures.accuracy == np.trace(confusion) / 600 > 0.9
    assert figures.macro_f1 == pytest.approx(figures.accuracy, abs=0.01)
    assert 0 <= figures.expected_calibration_error < 0.2
    assert "confusion_matrix" not in figures.metrics()
    assert json.dumps(figures.to_json())
