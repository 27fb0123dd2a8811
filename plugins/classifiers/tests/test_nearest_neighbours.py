import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.neighbors import KNeighborsClassifier

from genservice.errors import OutOfRange
from genservice.model.fit import DataSet, FitRun
from genservice.testing import Harness, ModelConformance
from genservice_classifiers.nearest_neighbours import NearestNeighbours
from genservice_classifiers.projection import Projection

DISTANCES = ("euclidean", "cosine")
WEIGHTS = ("uniform", "distance")


class TestNearestNeighbours(ModelConformance):
    family = NearestNeighbours
    model = "digits"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, trained, digits):
        cls.store = trained(NearestNeighbours, digits)
        with Harness([NearestNeighbours], cls.store) as harness:
            yield harness

    @pytest.mark.parametrize(("distance", "weights"), list(itertools.product(DISTANCES, WEIGHTS)))
    @pytest.mark.parametrize("k", [1, 5, 100])
    def test_it_answers_as_scikit_learn_on_all_digits_held_out(self, harness, digits, k, distance, weights):
        projection, rounded = reference_set(digits)
        reference = KNeighborsClassifier(k, metric=distance, weights=weights, algorithm="brute")
        reference.fit(rounded.astype(float), digits.train_labels)
        held_out = projection(digits.test_inputs.reshape(539, -1))
        options = {"k": k, "distance": distance, "weights": weights}
        served = harness.call("digits", "classify", digits.test_inputs, options)
        np.testing.assert_allclose(served, reference.predict_proba(held_out), atol=1e-5)
        if weights == "uniform":  # Else a label may be one of two that are tied but for rounding.
            assert (served.argmax(axis=1) == reference.predict(held_out)).all()


def reference_set(digits):
    return Projection.fitted(digits.train_inputs.reshape(1258, -1), 38, standardise=False)


def options(rows, k=5, distance="euclidean", weights="uniform"):
    return SimpleNamespace(k=np.broadcast_to(np.int64(k), rows), distance=distance, weights=weights)


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("neighbours")
    model = NearestNeighbours(NearestNeighbours.fit(FitRun(folder, folder, digits, 0)))
    model.load(folder)
    return model


@pytest.mark.parametrize("distance", DISTANCES)
def test_neighbours_are_those_of_scikit_learn(model, digits, distance):
    import tensorflow as tf

    projection, rounded = reference_set(digits)
    reference = KNeighborsClassifier(metric=distance, algorithm="brute")
    reference.fit(rounded.astype(float), digits.train_labels)
    wanted_distances, wanted = reference.kneighbors(projection(digits.test_inputs.reshape(539, -1)), 7)
    find = tf.function(lambda rows, k: model.neighbours(rows, k, options(1, distance=distance)), autograph=False)
    indexes, distances = find(digits.test_inputs, tf.constant(7))
    assert (indexes.dtype, distances.dtype) == (tf.int64, tf.float32)
    assert (indexes.numpy() == wanted).all()
    unit = projection.step if distance == "euclidean" else 1
    np.testing.assert_allclose(distances, unit * wanted_distances, rtol=1e-5, atol=1e-6)


def test_distances_are_in_the_units_of_the_inputs(model, digits):
    rows, held_out = digits.train_inputs.reshape(1258, -1), digits.test_inputs[:20].reshape(20, -1)
    indexes, distances = model.neighbours(digits.test_inputs[:20], 3, options(20))
    plain = np.linalg.norm(rows[indexes.numpy()] - held_out[:, None], axis=2)
    # What the components leave out, and the rounding, are a small part of it.
    np.testing.assert_allclose(distances, plain, rtol=0.15)


def test_rows_of_a_batch_have_each_their_own_k(model, digits):
    rows = digits.test_inputs[:6]
    together = model.logits(rows, options(6, k=[1, 5, 100, 2, 5, 30])).numpy()
    for place, k in enumerate([1, 5, 100, 2, 5, 30]):
        alone = model.logits(rows[place : place + 1], options(1, k=k)).numpy()[0]
        np.testing.assert_allclose(together[place], alone, rtol=1e-12)


def test_a_label_without_votes_has_the_probability_zero(model, digits):
    assert (np.sort(np.exp(model.logits(digits.test_inputs[:8], options(8, k=1))), axis=1)[:, :-1] == 0).all()


def test_the_model_says_how_many_rows_it_has(model, tmp_path):
    assert model.reference_rows == 1258


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Four rows, two of them equal, on a line."""
    rows = np.array([[-1, -1], [1, 1], [1, 1], [3, 3]], np.float32)
    data = DataSet("few", rows, np.array([0, 1, 0, 1]), rows[:1], np.array([0]), ("near", "far"), "CC0-1.0", "")
    folder = tmp_path_factory.mktemp("few")
    model = NearestNeighbours(NearestNeighbours.fit(FitRun(folder, folder, data, 0)))
    model.load(folder)
    return model


def test_of_rows_equally_far_the_lowest_index_comes_first(few):
    indexes, _ = few.neighbours(np.array([[1, 1], [2, 2]], np.float32), 4, options(2))
    assert indexes.numpy().tolist() == [[1, 2, 0, 3], [1, 2, 3, 0]]


def test_a_row_that_is_in_the_reference_set_is_decided_by_its_equals(few):
    votes = np.exp(few.logits(np.array([[1, 1]], np.float32), options(1, k=4, weights="distance")))
    np.testing.assert_allclose(votes[0] / votes.sum(), [0.5, 0.5])


def test_a_vote_of_more_rows_than_there_are_is_refused(few):
    with pytest.raises(OutOfRange, match=r"at most 4, .*got 5"):
        few.validate("classify", SimpleNamespace(k=5), {})
    few.validate("classify", SimpleNamespace(k=4), {})


def test_rows_beyond_the_number_asked_for_are_left_out(digits, tmp_path):
    run = FitRun(tmp_path, tmp_path, digits, 3, {"reference_rows": 300})
    model = NearestNeighbours(NearestNeighbours.fit(run))
    assert model.reference_rows == 300
    kept = load_file(tmp_path / "weights.safetensors")
    assert kept["reference/rows"].shape == (300, 38)
    assert kept["reference/rows"].dtype == np.int8
