import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from genservice.errors import DataError, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice.testing import Harness, ModelConformance
from genservice.training.tabular import SOURCES
from genservice_classifiers.projection import Projection
from genservice_classifiers.svm import SupportVectorMachine


class TestGaussianKernel(ModelConformance):
    family = SupportVectorMachine
    model = "digits"

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, trained, digits):
        cls.store = trained(SupportVectorMachine, digits)
        with Harness([SupportVectorMachine], cls.store) as harness:
            yield harness

    def test_it_answers_as_scikit_learn_on_all_digits_held_out(self, harness, digits):
        assert_like_scikit_learn(harness.call("digits", "classify", digits.test_inputs), digits, SVC(C=5), 50)

    def test_most_digits_are_named_rightly(self, harness, digits):
        served = harness.call("digits", "classify", digits.test_inputs)
        assert (served.argmax(axis=1) == digits.test_labels).mean() > 0.97


def test_a_linear_kernel_answers_as_scikit_learn_on_all_digits_held_out(served, digits):
    classify = served(SupportVectorMachine, digits, kernel="linear", penalty=1.0, components=30)
    rounded = Projection.fitted(digits.train_inputs.reshape(1258, -1), 30, standardise=False)[1]
    machines = SVC(C=1 / (rounded.astype(float).var() * 30), kernel="linear")
    assert_like_scikit_learn(classify(digits.test_inputs), digits, machines, 30)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_two_labels_need_one_machine_and_one_calibration(kernel, served):
    cancer = SOURCES["breast-cancer"](None)
    probabilities = served(SupportVectorMachine, cancer, kernel=kernel, standardise=True)(cancer.test_inputs)
    assert (probabilities.argmax(axis=1) == cancer.test_labels).mean() > 0.94


def test_a_kernel_that_is_not_known_is_refused(digits, tmp_path):
    with pytest.raises(SettingsError, match=r"linear, rbf; got 'poly'"):
        SupportVectorMachine.fit(FitRun(tmp_path, tmp_path, digits, 0, {"kernel": "poly"}))


@pytest.mark.parametrize(("share", "message"), [(0.001, "cannot be parted"), (0.06, "too few rows to calibrate")])
def test_labels_with_too_few_rows_to_calibrate_on_are_told_of(share, message, tmp_path):
    labels = np.array([0] * 40 + [1] * 2)
    rows = np.random.default_rng(0).normal(size=(42, 3)).astype(np.float32)
    data = DataSet("scarce", rows, labels, rows, labels, ("many", "few"), "CC0-1.0", "")
    with pytest.raises(DataError, match=message):
        SupportVectorMachine.fit(FitRun(tmp_path, tmp_path, data, 0, {"calibration_share": share}))


def assert_like_scikit_learn(served, digits, machines, components):
    rows, held_out = (part.reshape(len(part), -1) for part in (digits.train_inputs, digits.test_inputs))
    projection, rounded = Projection.fitted(rows, components, standardise=False)
    seen, other, seen_labels, other_labels = train_test_split(
        rounded.astype(float), digits.train_labels, test_size=1 / 6, stratify=digits.train_labels, random_state=0
    )
    machines.fit(seen, seen_labels)
    reference = CalibratedClassifierCV(FrozenEstimator(machines)).fit(other, other_labels)
    np.testing.assert_allclose(served, reference.predict_proba(projection(held_out)), atol=1e-5)
    assert (served.argmax(axis=1) == reference.predict(projection(held_out))).all()
