"""The family as an author's code uses it: trained on small sequences, loaded, and asked with `tf.function`."""

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from genservice import DataSet, FitRun, Sequences
from genservice.errors import IntegrityError, SettingsError
from genservice_sequence import ConditionalRandomField

LABELS = ("high", "low")
QUICK = {"epochs": 6, "batch_sequences": 20, "positions": 8}


class Trained(NamedTuple):
    """A trained model, its folder and its data, and its verbs as the engine traces them."""

    model: ConditionalRandomField
    folder: Path
    data: DataSet
    tag: Any
    score: Any


def rows(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def parity(*, words: bool, count: int = 300) -> DataSet:
    """Labels that alternate, and are seen but for those that are hidden: these only their neighbours tell."""
    rng = np.random.default_rng(0)
    inputs, labels = [], []
    for _ in range(count):
        length = rng.integers(1, 8)
        tags = (np.arange(length) + rng.integers(2)) % 2
        hidden = rng.random(length) < 0.3
        image = np.zeros((length, 8, 4), np.float32)
        for place in np.flatnonzero(~hidden):
            image[place, 4 * tags[place] : 4 * tags[place] + 4] = rng.random((4, 4)) > 0.2
        word = [
            f"{'.' if hide else 'hl'[tag]}{'' if hide else rng.integers(9)}"
            for hide, tag in zip(hidden, tags, strict=True)
        ]
        inputs.append(word if words else image)
        labels.append(tags.astype(np.int64))
    part = 4 * count // 5
    return DataSet(
        "words" if words else "images",
        rows(inputs[:part]),
        rows(labels[:part]),
        rows(inputs[part:]),
        rows(labels[part:]),
        LABELS,
        "CC0-1.0",
        "",
    )


def batch_of(model, inputs, positions):
    """The sequences as the engine gives them: padded to the model's positions by repeating the last."""
    lengths = np.array([len(row) for row in inputs], np.int32)
    places = np.minimum(np.arange(positions), lengths[:, None] - 1)
    values = [np.stack([model.tokenize(word) for word in row]) if model.tokens else row for row in inputs]
    return np.stack([row[place] for row, place in zip(values, places, strict=True)]), lengths


@pytest.fixture(scope="module", params=["linear", "convolutional", "words"])
def trained(request, tmp_path_factory):
    folder, checkpoints = (tmp_path_factory.mktemp(name) for name in ("version", "checkpoints"))
    data = parity(words=request.param == "words")
    settings = {**QUICK, "network": request.param, "learning_rate": 0.02, "hidden": 16, "buckets": 512, "width": 8}
    told = []
    run = FitRun(folder, checkpoints, data, 3, settings, lambda done, total, figures: told.append((done, total)))
    model = ConditionalRandomField(ConditionalRandomField.fit(run))
    assert told[-1][0] == told[-1][1] > 0
    model.load(folder)
    position = model.tokens or model.event
    values = tf.TensorSpec([None, None, *position.shape], position.dtype)
    lengths, labels = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)
    tag = tf.function(
        lambda values, lengths: model.tag(Sequences(values, lengths), None),
        input_signature=[values, lengths],
        autograph=False,
    )
    score = tf.function(
        lambda values, lengths, labels: model.labelling_log_prob(Sequences(values, lengths), labels, None),
        input_signature=[values, lengths, labels],
        autograph=False,
    )
    return Trained(model, folder, data, tag, score)


def test_a_training_learns_what_neighbours_tell(trained):
    model, _, data, tag, _ = trained
    values, lengths = batch_of(model, data.test_inputs, model.positions)
    labels, marginals = (part.numpy() for part in tag(values, lengths))
    assert labels.dtype == np.int32
    assert marginals.dtype == np.float32
    assert labels.shape == (60, 8)
    assert marginals.shape == (60, 8, 2)
    right = [tags == row[: len(tags)] for tags, row in zip(data.test_labels, labels, strict=True)]
    assert np.concatenate(right).mean() > 0.93
    np.testing.assert_allclose(marginals.sum(axis=2)[np.arange(8) < lengths[:, None]], 1, atol=1e-6)


def test_the_probabilities_of_all_labellings_of_a_sequence_sum_to_one(trained):
    model, _, data, tag, score = trained
    row = next(row for row in data.test_inputs if len(row) == 3)
    labellings = np.array(list(product(range(2), repeat=3)), np.int32)
    values, lengths = batch_of(model, [row] * 8, 8)
    log_prob = score(values, lengths, np.pad(labellings, ((0, 0), (0, 5)), mode="edge")).numpy()
    assert log_prob.dtype == np.float64
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-9)
    labels, marginals = tag(values, lengths)
    np.testing.assert_array_equal(labellings[log_prob.argmax()], labels.numpy()[0, :3])
    for t, label in product(range(3), range(2)):
        wanted = np.exp(log_prob)[labellings[:, t] == label].sum()
        assert marginals.numpy()[0, t, label] == pytest.approx(wanted, abs=1e-6)


def test_neither_padding_nor_neighbours_change_an_answer(trained):
    model, _, data, tag, score = trained
    values, lengths = batch_of(model, data.test_inputs, model.positions)
    labels = np.zeros(values.shape[:2], np.int32)
    together = [part.numpy() for part in (*tag(values, lengths), score(values, lengths, labels))]
    for row in (0, 7, 31):
        length = lengths[row]
        alone = slice(row, row + 1)
        for positions in (length, 8):
            part = values[alone, :positions].copy()
            part[:, length:] = values[row - 1, :1]
            tagged, marginals = (part.numpy() for part in tag(part, lengths[alone]))
            np.testing.assert_array_equal(tagged[0, :length], together[0][row, :length])
            np.testing.assert_allclose(marginals[0, :length], together[1][row, :length], atol=1e-5)
            log_prob = score(part, lengths[alone], labels[alone, :positions]).numpy()
            np.testing.assert_allclose(log_prob, together[2][alone], atol=1e-5)


@pytest.mark.parametrize("trained", ["linear"], indirect=True)
def test_a_field_without_transitions_knows_less(trained, tmp_path):
    model, _, data, tag, _ = trained
    settings = {**QUICK, "learning_rate": 0.02, "transitions": False}
    alone = ConditionalRandomField(ConditionalRandomField.fit(FitRun(tmp_path, tmp_path, data, 3, settings)))
    alone.load(tmp_path)
    values, lengths = batch_of(model, data.test_inputs, 8)
    inside = np.arange(8) < lengths[:, None]
    of_positions = alone.tag(Sequences(tf.constant(values), tf.constant(lengths)), None)[0].numpy()
    right = [
        (labels[inside] == np.concatenate(data.test_labels)).mean()
        for labels in (of_positions, tag(values, lengths)[0].numpy())
    ]
    assert right[0] < right[1] - 0.05


@pytest.mark.slow
def test_a_training_that_is_cut_off_goes_on_to_the_same_weights(tmp_path):
    class CutOffError(Exception):
        pass

    steps = []

    def progress(done, total, figures):
        steps.append(done)
        if steps == [10, 20]:
            raise CutOffError

    data = parity(words=True, count=50)
    settings = {**QUICK, "epochs": 15, "buckets": 64, "width": 4, "hidden": 8, "checkpoint_seconds": 0.0}
    (tmp_path / "checkpoints").mkdir()
    runs = [FitRun(tmp_path / name, tmp_path / "checkpoints", data, 5, settings, progress) for name in ("cut", "whole")]
    for run in runs:
        run.directory.mkdir()
    with pytest.raises(CutOffError):
        ConditionalRandomField.fit(runs[0])
    ConditionalRandomField.fit(runs[0])
    assert steps == [10, 20, 20, 30]
    (tmp_path / "checkpoints" / "checkpoint.npz").unlink()
    ConditionalRandomField.fit(runs[1])
    assert steps[4:] == [10, 20, 30]
    cut, whole = ((run.directory / "weights.safetensors").read_bytes() for run in runs)
    assert cut == whole


@pytest.mark.parametrize("trained", ["linear"], indirect=True)
def test_what_was_trained_on_values_beyond_0_to_1_takes_all_values(trained, tmp_path):
    assert (trained.model.event.minimum, trained.model.event.maximum) == (0, 1)
    data = parity(words=False, count=5)
    for row in data.train_inputs:
        row *= 2
    model = ConditionalRandomField(ConditionalRandomField.fit(FitRun(tmp_path, tmp_path, data, 0, {"epochs": 1})))
    assert (model.event.minimum, model.event.maximum) == (None, None)


def unlabelled() -> DataSet:
    data = parity(words=False, count=5)
    none = np.zeros(0, np.int64)
    return DataSet("unlabelled", data.train_inputs, none, data.test_inputs, none, (), "CC0-1.0", "")


@pytest.mark.parametrize(
    ("data", "settings", "reason"),
    [
        (parity(words=False, count=20), {"epoch": 1}, "epochs"),
        (parity(words=False, count=20), {"network": "words"}, r"linear or convolutional.*arrays.*'words'"),
        (parity(words=True, count=20), {"network": "linear"}, r"`network` is words"),
        (parity(words=True, count=20), {"positions": 4}, r"`positions` is 4, and 'words' has a sequence of 7"),
        (unlabelled(), {}, "no labelled sequences"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data_is_refused(data, settings, reason, tmp_path):
    with pytest.raises(SettingsError, match=reason):
        ConditionalRandomField.fit(FitRun(tmp_path, tmp_path, data, 0, settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trained", ["linear"], indirect=True)
def test_weights_of_another_shape_are_refused(trained):
    model, folder = trained.model, trained.folder
    other = ConditionalRandomField({**model.config, "labels": ["a", "b", "c"]})
    with pytest.raises(IntegrityError, match="shape"):
        other.load(folder)
