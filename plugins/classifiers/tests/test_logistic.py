import numpy as np
import pytest
from sklearn import linear_model

from genservice.model.fit import DataSet
from genservice.testing import Harness, ModelConformance
from genservice_classifiers.logistic import LogisticRegression


class TestLogisticRegression(ModelConformance):
    family = LogisticRegression
    model = "digits"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, trained, digits):
        cls.store = trained(LogisticRegression, digits)
        with Harness([LogisticRegression], cls.store) as harness:
            yield harness

    def test_it_answers_as_scikit_learn_on_all_digits_held_out(self, harness, digits):
        rows, held_out = (part.reshape(len(part), -1) for part in (digits.train_inputs, digits.test_inputs))
        mean = rows.mean(axis=0)
        reference = linear_model.LogisticRegression(C=0.1).fit(rows - mean, digits.train_labels)
        served = harness.call("digits", "classify", digits.test_inputs)
        np.testing.assert_allclose(served, reference.predict_proba(held_out - mean), atol=1e-5)
        assert (served.argmax(axis=1) == reference.predict(held_out - mean)).all()
        assert (served.argmax(axis=1) == digits.test_labels).mean() > 0.94


def test_features_in_unlike_units_far_from_zero_lose_nothing(served):
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 3
    rows = generator.normal(size=(400, 3)) + np.eye(3)[labels] * 4
    rows = (rows * [1e-3, 1, 1e4] + [2, 2000, 1e6]).astype(np.float32)
    data = DataSet("units", rows[:300], labels[:300], rows[300:], labels[300:], ("a", "b", "c"), "CC0-1.0", "")
    classify = served(LogisticRegression, data, standardise=True, inverse_penalty=1.0)
    assert (classify(data.test_inputs).argmax(axis=1) == data.test_labels).mean() > 0.95
