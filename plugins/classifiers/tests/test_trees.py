import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from genservice.model.fit import DataSet
from genservice.testing import Harness, ModelConformance
from genservice_classifiers.trees import DecisionTree, RandomForest, float32_below


def assert_like_scikit_learn(probabilities, reference, digits):
    rows, held_out = (part.reshape(len(part), -1) for part in (digits.train_inputs, digits.test_inputs))
    reference.fit(rows, digits.train_labels)
    np.testing.assert_allclose(probabilities, reference.predict_proba(held_out), atol=1e-5)
    assert (probabilities.argmax(axis=1) == reference.predict(held_out)).all()


class TestRandomForest(ModelConformance):
    family = RandomForest
    model = "digits"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, trained, digits):
        cls.store = trained(RandomForest, digits)
        with Harness([RandomForest], cls.store) as harness:
            yield harness

    def test_it_answers_as_scikit_learn_on_all_digits_held_out(self, harness, digits):
        served = harness.call("digits", "classify", digits.test_inputs)
        assert_like_scikit_learn(served, RandomForestClassifier(50, random_state=0), digits)
        assert (served.argmax(axis=1) == digits.test_labels).mean() > 0.95


class TestDecisionTree(ModelConformance):
    family = DecisionTree
    model = "digits"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, trained, digits):
        cls.store = trained(DecisionTree, digits, most_leaves=60, least_rows=3)
        with Harness([DecisionTree], cls.store) as harness:
            yield harness

    def test_it_answers_as_scikit_learn_on_all_digits_held_out(self, harness, digits):
        served = harness.call("digits", "classify", digits.test_inputs)
        reference = DecisionTreeClassifier(max_leaf_nodes=60, min_samples_leaf=3, random_state=0)
        assert_like_scikit_learn(served, reference, digits)


def test_a_tree_that_is_one_leaf_gives_the_shares_of_the_labels(served):
    rows, labels = np.zeros((8, 2), np.float32), np.array([0, 0, 0, 1] * 2)
    data = DataSet("equal", rows, labels, rows, labels, ("often", "seldom"), "CC0-1.0", "")
    np.testing.assert_allclose(served(DecisionTree, data)(rows), [[0.75, 0.25]] * 8)


def test_no_threshold_between_two_neighbouring_numbers_is_moved(served):
    first = np.float32(1e6)
    second = np.nextafter(first, np.float32(2e6))
    rows = np.array([[first], [second]] * 10, np.float32)
    labels = np.arange(20) % 2
    data = DataSet("near", rows, labels, rows, labels, ("below", "above"), "CC0-1.0", "")
    np.testing.assert_allclose(served(DecisionTree, data)(rows[:2]), np.eye(2))


def test_a_float32_threshold_parts_float32_numbers_as_the_exact_one_does():
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=1000).astype(np.float32)
    exact = numbers.astype(float) + generator.choice([-1e-12, 0, 1e-12], 1000)
    around = np.stack([np.nextafter(numbers, np.float32(way)) for way in (-9, 9)] + [numbers])
    assert ((around > float32_below(exact)) == (around.astype(float) > exact)).all()
