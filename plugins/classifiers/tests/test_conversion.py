"""What is stored answers as scikit-learn does, or is not stored."""

import numpy as np
import pytest

from genservice.errors import DataError, IntegrityError, PluginError, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice_classifiers.conversion import check_conversion, require_shapes
from genservice_classifiers.logistic import LogisticRegression
from genservice_classifiers.nearest_neighbours import NearestNeighbours
from genservice_classifiers.svm import SupportVectorMachine
from genservice_classifiers.trees import DecisionTree, RandomForest

FAMILIES = [DecisionTree, LogisticRegression, NearestNeighbours, RandomForest, SupportVectorMachine]
WANTED = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])


def test_probabilities_as_near_as_they_need_to_be_pass():
    check_conversion(np.add(WANTED, [9e-6, -9e-6, 0]), WANTED)


@pytest.mark.parametrize("error", [2e-5, -2e-5, np.nan])
def test_a_probability_farther_off_is_told_of(error):
    with pytest.raises(PluginError, match="differ from scikit-learn's by"):
        check_conversion(np.add(WANTED, [error, 0, 0]), WANTED)


def test_another_label_is_told_of_however_near_the_probability():
    wanted = np.array([[0.500004, 0.499996]])
    with pytest.raises(PluginError, match="1 of 1 rows another label"):
        check_conversion(wanted[:, ::-1], wanted)


def test_which_of_two_tied_labels_is_named_does_not_matter():
    check_conversion(np.add(WANTED, [0, 1e-9, 0]), WANTED)


def data_set(labels, names):
    rows = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    return DataSet("toy", rows, np.array(labels), rows, np.array(labels), names, "CC0-1.0", "")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_label_without_rows_is_named(family, tmp_path):
    data = data_set([0, 2] * 20, ("fox", "hare", "owl"))
    with pytest.raises(DataError, match="no rows of hare"):
        family.fit(FitRun(tmp_path, tmp_path, data, 0))


@pytest.mark.parametrize("family", FAMILIES)
def test_one_label_is_too_few(family, tmp_path):
    with pytest.raises(DataError, match="needs two"):
        family.fit(FitRun(tmp_path, tmp_path, data_set([0] * 20, ("fox",)), 0))


@pytest.mark.parametrize("family", [NearestNeighbours, SupportVectorMachine])
def test_rows_that_are_all_equal_have_no_components(family, tmp_path):
    rows, labels = np.ones((20, 3), np.float32), np.arange(20) % 2
    data = DataSet("equal", rows, labels, rows, labels, ("fox", "hare"), "CC0-1.0", "")
    with pytest.raises(DataError, match="All rows are equal"):
        family.fit(FitRun(tmp_path, tmp_path, data, 0))


@pytest.mark.parametrize("family", FAMILIES)
def test_two_labels_of_a_table_are_enough(family, tmp_path):
    told = []
    data = data_set([0, 1] * 30, ("fox", "hare"))
    run = FitRun(tmp_path, tmp_path, data, 0, {}, lambda done, total, figures: told.append((done, total)))
    model = family(family.fit(run))
    assert model.event.shape == (4,)
    assert model.event.minimum is None
    assert told[-1][0] == told[-1][1] > 0
    assert told == sorted(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_seed_gives_one_model(family, tmp_path):
    data = data_set([0, 1, 2] * 20, ("fox", "hare", "owl"))
    versions = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        config = family.fit(FitRun(folder, folder, data, 7))
        versions.append((config, (folder / "weights.safetensors").read_bytes()))
    assert versions[0] == versions[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_setting_of_training_is_refused(family, digits, tmp_path):
    with pytest.raises(SettingsError, match="no setting 'depht'"):
        family.fit(FitRun(tmp_path, tmp_path, digits, 0, {"depht": 1}))


@pytest.mark.parametrize("family", FAMILIES)
def test_arrays_of_another_shape_are_refused(family, tmp_path):
    config = dict(family.fit(FitRun(tmp_path, tmp_path, data_set([0, 1, 2] * 20, ("fox", "hare", "owl")), 0)))
    other = family(config | {"labels": ["fox", "hare"], "event_shape": [5], "reference_rows": 7})
    with pytest.raises(IntegrityError, match="has the shape"):
        other.load(tmp_path)


def test_arrays_that_are_missing_or_not_known_are_named():
    with pytest.raises(IntegrityError, match=r"missing \['b'\], not known \['c'\]"):
        require_shapes({"a": np.zeros(2), "c": np.zeros(2)}, {"a": (2,), "b": (None,)})
