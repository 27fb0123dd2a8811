import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest

from genservice.errors import DataError, GenserviceError, InvalidRequest, ModelFailed, NotFound, VerbNotSupported
from genservice.model.fit import DataSet
from genservice.model.specs import TensorSpec
from genservice.plugin_host import Family
from genservice.store.names import ModelName
from genservice.store.store import ModelStore
from genservice.training.evaluation import Evaluation, evaluate, serving
from genservice.training.evaluation.figures import GeneratorFigures, TaggerFigures

Families = Mapping[str, Family]
Zoo = Callable[..., ModelStore]
LABELS = ("hat", "glove", "scarf")
SPEEDS = ("samples_per_second", "rows_per_second", "tokens_per_second")


async def measure(
    store: ModelStore, families: Families, data: DataSet, model: str, judge: str | None = None, **arguments: Any
) -> Evaluation:
    names = [ModelName(name) for name in (model, judge) if name is not None]
    async with serving(store, families, names) as (subject, *judges):
        return await evaluate(subject, data, judge=judges[0] if judges else None, **{"seed": 5, **arguments})


async def test_a_generator_that_is_as_good_as_the_data_measures_as_real_rows_do(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    figures = (await measure(store, families, data, "good", "judge")).metrics()
    assert figures["samples"] == 600
    assert figures["agreement"] > 0.9
    assert figures["frechet_ratio"] < 4
    assert figures["kernel_distance"] == pytest.approx(figures["kernel_distance_real"], abs=0.05)
    for name in ("precision", "recall", "row_precision", "row_recall"):
        assert figures[name] == pytest.approx(figures[f"{name}_real"], abs=0.05)
    for name in ("embedding_spread", "row_spread"):
        assert figures[name] == pytest.approx(1, abs=0.1)
    assert figures["near_copies"] < 0.05
    assert figures["samples_per_second"] > 0


async def test_a_generator_that_collapsed_is_told_by_its_spread_and_recall_though_the_judge_agrees(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    figures = (await measure(store, families, data, "collapsed", "judge")).metrics()
    assert figures["agreement"] == 1
    assert figures["embedding_spread"] < 0.1
    assert figures["frechet_ratio"] > 20
    assert figures["recall"] < 0.1 < figures["recall_real"]


async def test_samples_that_are_training_rows_are_near_copies(
    zoo: Zoo, kinds: Families, rows: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = kinds["toy-plain"].model

    def copied(self: Any, noise: Any, options: Any, conditions: Any) -> Any:
        return rows.train_inputs[(noise.uniform("row") * len(rows.train_inputs)).astype(int)]

    monkeypatch.setattr(plain, "sample", copied)
    figures = (await measure(zoo(), kinds, rows, "plain")).metrics()
    assert figures["row_near_copies"] == 1
    assert figures["row_near_copies_real"] == pytest.approx(0.01)
    assert figures["row_precision"] == pytest.approx(figures["row_precision_real"], abs=0.1)


async def test_a_generator_without_labels_or_judge_is_measured_in_its_rows(
    zoo: Zoo, kinds: Families, rows: DataSet
) -> None:
    evaluation = await measure(zoo(), kinds, rows, "plain", samples=300)
    figures = evaluation.metrics()
    assert figures["samples"] == 300
    assert "agreement" not in figures
    assert "judge" not in figures
    assert figures["row_frechet_ratio"] < 4
    assert "frechet_ratio" not in figures


async def test_rows_count_the_same_whatever_the_units_of_their_columns(
    zoo: Zoo, kinds: Families, rows: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await measure(zoo(), kinds, rows, "plain")).metrics()
    units, origin = np.array([1000, 1, 1, 0.001], np.float32), np.array([0, 50, 0, 0], np.float32)
    plain = kinds["toy-plain"].model
    draw = plain.sample
    monkeypatch.setattr(plain, "sample", lambda *arguments: draw(*arguments) * units + origin)
    scaled = replace(
        rows, train_inputs=rows.train_inputs * units + origin, test_inputs=rows.test_inputs * units + origin
    )
    after = (await measure(zoo("eye"), kinds, scaled, "plain")).metrics()
    for name in ("row_frechet_ratio", "row_kernel_distance", "row_precision", "row_recall", "row_spread"):
        assert after[name] == pytest.approx(before[name], rel=1e-2)


async def test_a_model_that_does_much_is_measured_in_all_of_it(zoo: Zoo, kinds: Families, rows: DataSet) -> None:
    evaluation = await measure(zoo(), kinds, rows, "mixture", "eye")
    figures = evaluation.metrics()
    assert figures["agreement"] == pytest.approx(figures["accuracy"], abs=0.05)
    assert figures["score_kind"] == "EXACT"
    # The entropy of the mixture is that of the normal distributions, and of what the label adds to it.
    normal = 2 * (1 + log(2 * np.pi))
    assert normal < figures["nats_per_row"] < normal + log(3) + 0.1
    assert figures["bits_per_dimension"] == pytest.approx(figures["nats_per_row"] / 4 / log(2), rel=1e-3)
    assert figures["rows"] == 600
    assert json.loads(json.dumps(evaluation.to_json()))["nats_per_row"] == pytest.approx(figures["nats_per_row"], 1e-3)


async def test_a_classifier_is_measured_on_held_out_rows_with_its_own_order_of_labels(
    store: ModelStore, families: Families, data: DataSet
) -> None:
    evaluation = await measure(store, families, data, "judge")
    figures = evaluation.to_json()
    assert figures["rows"] == 600
    assert figures["labels"] == ("scarf", "glove", "hat")
    confusion = np.array(figures["confusion_matrix"])
    assert confusion.sum(axis=1).tolist() == [200, 200, 200]
    assert figures["accuracy"] == np.trace(confusion) / 600 > 0.9
    assert figures["macro_f1"] == pytest.approx(figures["accuracy"], abs=0.01)
    assert 0 <= figures["expected_calibration_error"] < 0.2
    assert "confusion_matrix" not in evaluation.metrics()


async def test_a_tagger_is_measured_by_positions_and_by_sequences(
    zoo: Zoo, kinds: Families, sequences: DataSet
) -> None:
    evaluation = await measure(zoo(), kinds, sequences, "tagger")
    figures = evaluation.metrics()
    (part,) = evaluation.parts
    assert isinstance(part, TaggerFigures)
    assert len(part.examples) == 8
    assert [len(example.split()) for example in part.examples] == [len(row) for row in sequences.test_inputs[:8]]
    assert set(part.examples[0].split()) <= set(LABELS)
    assert figures["sequences"] == len(sequences.test_inputs)
    assert figures["tokens"] == sum(map(len, sequences.test_inputs))
    assert 0.9 < figures["token_accuracy"] < 1
    assert 0.7 < figures["sequence_accuracy"] < figures["token_accuracy"]
    assert 0 < figures["nats_per_token"] < 0.3
    assert figures["nats_per_sequence"] * figures["sequences"] == pytest.approx(
        figures["nats_per_token"] * figures["tokens"], rel=1e-2
    )


async def test_likenesses_are_measured_over_all_pairs_of_held_out_rows(
    zoo: Zoo, kinds: Families, rows: DataSet
) -> None:
    evaluation = await measure(zoo(), kinds, rows, "likeness")
    figures = evaluation.metrics()
    assert (figures["people"], figures["pictures"], figures["pairs"]) == (3, 600, 600 * 599 // 2)
    assert 0.8 < figures["auc"] < 1
    assert 0 < figures["tpr_at_fpr_1_permille"] < figures["tpr_at_fpr_1_percent"] < figures["auc"]
    assert figures["threshold"] == 3
    assert 0.6 < figures["pair_accuracy"] < 0.9
    assert 0.6 < figures["rank_1"] < 1
    roc = evaluation.to_json()["roc"]
    assert len(roc) <= 256
    assert roc[-1] == (1, 1)
    assert roc == sorted(roc)


async def test_a_model_of_text_is_measured_by_the_characters_of_held_out_texts(
    zoo: Zoo, kinds: Families, texts: DataSet
) -> None:
    evaluation = await measure(zoo(), kinds, texts, "letters", samples=20)
    figures = evaluation.metrics()
    assert (figures["characters"], figures["excerpt_characters"], figures["samples"]) == (1000, 12, 20)
    entropy = -sum(p * log(p) for p in (0.5, 0.2, 0.1, 0.2))
    assert figures["nats_per_character"] == pytest.approx(entropy, abs=0.05)
    # A run of 40 characters does not fit into 12.
    assert figures["near_copies"] == figures["near_copies_real"] == 0
    shorter = await measure(zoo("eye"), kinds, texts, "letters", samples=20, excerpt_characters=5)
    assert shorter.metrics()["nats_per_character"] == pytest.approx(figures["nats_per_character"], rel=1e-3)


@pytest.mark.parametrize(
    ("model", "judge", "source", "higher", "lower"),
    [
        ("plain", "eye", "rows", ("precision", "row_precision"), ("frechet_ratio", "kernel_distance")),
        ("plain", None, "rows", ("row_precision",), ("row_frechet_ratio", "row_kernel_distance")),
        (
            "mixture",
            "eye",
            "rows",
            ("agreement", "precision", "accuracy", "macro_f1"),
            ("frechet_ratio", "kernel_distance", "nats_per_row", "bits_per_dimension"),
        ),
        ("tagger", None, "sequences", ("token_accuracy", "sequence_accuracy"), ("nats_per_token", "nats_per_sequence")),
        (
            "likeness",
            None,
            "rows",
            ("auc", "tpr_at_fpr_1_percent", "tpr_at_fpr_1_permille", "pair_accuracy", "rank_1"),
            (),
        ),
        ("letters", None, "texts", (), ("nats_per_character",)),
    ],
)
async def test_weights_that_are_spoilt_a_little_make_every_figure_worse(
    zoo: Zoo,
    kinds: Families,
    request: pytest.FixtureRequest,
    model: str,
    judge: str | None,
    source: str,
    higher: tuple[str, ...],
    lower: tuple[str, ...],
) -> None:
    data = request.getfixturevalue(source)
    sound = (await measure(zoo(), kinds, data, model, judge)).metrics()
    spoilt = (await measure(zoo(model), kinds, data, model, judge)).metrics()
    for name in higher:
        assert spoilt[name] < sound[name], name
    for name in lower:
        assert spoilt[name] > sound[name], name
    if "row_recall" in sound:
        # What spoils places at random, spoils what is recalled too.
        assert spoilt["row_recall"] < sound["row_recall"]


async def test_figures_follow_from_the_seed(store: ModelStore, families: Families, data: DataSet) -> None:
    async def figures(seed: int) -> dict[str, Any]:
        evaluation = await measure(store, families, data, "good", "judge", seed=seed, samples=300)
        return {name: value for name, value in evaluation.to_json().items() if name not in SPEEDS}

    assert await figures(5) == await figures(5)
    assert (await figures(6))["frechet_distance"] != (await figures(5))["frechet_distance"]


async def test_progress_ends_at_its_total(store: ModelStore, families: Families, data: DataSet) -> None:
    told: list[tuple[int, int]] = []
    await measure(store, families, data, "good", "judge", progress=lambda done, total, _: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("model", "judge", "samples", "error", "message"),
    [
        ("good", "collapsed", None, VerbNotSupported, "it cannot classify and embed"),
        ("good", "judge", 4, InvalidRequest, "4 samples are too few"),
        ("good", "judge", 3000, DataError, "has 600 rows to compare with, not 3000: ask for fewer"),
        ("godo", "judge", None, NotFound, "Did you mean 'good'"),
    ],
)
async def test_what_cannot_be_measured_says_why(
    store: ModelStore,
    families: Families,
    data: DataSet,
    model: str,
    judge: str,
    samples: int | None,
    error: type[GenserviceError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await measure(store, families, data, model, judge, samples=samples)


@pytest.mark.parametrize(
    ("model", "changed", "message"),
    [
        ("mixture", {"labels": ("hat", "mitten", "scarf")}, "no rows of glove"),
        ("mixture", {"test_inputs": np.zeros((600, 5), np.float32)}, r"rows of the shape \[5\]"),
        ("eye", {"labels": ("hat", "mitten", "scarf")}, "does not know the labels mitten"),
        ("eye", {"labels": (), "test_labels": np.zeros(0, np.int64)}, "has no labels"),
        ("likeness", {"test_labels": np.arange(600)}, "not two rows of each of two labels"),
    ],
)
async def test_data_that_does_not_fit_is_refused(
    zoo: Zoo, kinds: Families, rows: DataSet, model: str, changed: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        await measure(zoo(), kinds, replace(rows, **changed), model)


async def test_a_judge_of_other_rows_is_refused(
    zoo: Zoo, kinds: Families, rows: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds["toy-eye"].model, "event", TensorSpec((5,)))
    for verb in ("logits", "embed"):
        method = getattr(kinds["toy-eye"].model, verb)
        shorter = lambda self, inputs, options, method=method: method(self, inputs[:, :4], options)  # noqa: E731
        monkeypatch.setattr(kinds["toy-eye"].model, verb, shorter)
    with pytest.raises(InvalidRequest, match=r"takes rows of the shape \[5\], and models/plain/versions/1 draws \[4\]"):
        await measure(zoo(), kinds, rows, "plain", "eye")


async def test_a_model_that_cannot_be_loaded_says_why(store: ModelStore, families: Families, data: DataSet) -> None:
    path = store.directory("good", 1) / "centres.npy"
    path.chmod(0o644)
    path.write_bytes(b"altered")
    with pytest.raises(ModelFailed, match=r"centres\.npy"):
        await measure(store, families, data, "good")


async def test_pictures_of_samples_have_a_row_of_each_label(
    zoo: Zoo, kinds: Families, rows: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = kinds["toy-mixture"].model
    draw, event = mixture.sample, replace(mixture.event, shape=(2, 2, 1))
    monkeypatch.setattr(mixture, "event", event)
    monkeypatch.setattr(mixture, "sample", lambda *arguments: draw(*arguments).reshape(-1, 2, 2, 1))
    for name in ("logits", "log_prob"):
        method = getattr(mixture, name)
        flattened = lambda self, inputs, options, method=method: method(self, inputs.reshape(-1, 4), options)  # noqa: E731
        monkeypatch.setattr(mixture, name, flattened)
    pictures = replace(
        rows,
        train_inputs=rows.train_inputs.reshape(-1, 2, 2, 1),
        test_inputs=rows.test_inputs.reshape(-1, 2, 2, 1),
    )
    evaluation = await measure(zoo(), kinds, pictures, "mixture")
    part = evaluation.parts[0]
    assert isinstance(part, GeneratorFigures)
    assert part.examples.shape == (24, 2, 2, 1)
    assert part.examples.dtype == np.uint8
    assert "pixel_frechet_ratio" in evaluation.metrics()
    # The first label is bright at its first pixel.
    assert part.examples[:8, 0, 0].mean() > part.examples[8:, 0, 0].mean() + 20
