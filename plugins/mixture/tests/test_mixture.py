"""The densities: their verbs agree with each other and with scikit-learn, and the models that ship are good."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax, logsumexp
from sklearn.mixture import GaussianMixture as ScikitMixture
from sklearn.naive_bayes import GaussianNB

import genservice_mixture
from genservice.errors import DataError, IntegrityError, InvalidRequest, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice.store.store import ModelStore
from genservice.testing import Harness, ModelConformance
from genservice.training import tabular
from genservice_mixture.families import WEIGHTS, GaussianMixture, NaiveBayes

MODELS = Path(genservice_mixture.__file__).parent / "models"
FAMILIES = [NaiveBayes, GaussianMixture]
IRIS, DIGITS = (tabular.load(name, Path()) for name in ("iris", "digits"))
SHIPPED = {
    "iris-naive-bayes": (IRIS, 0.9),
    "digits-naive-bayes": (DIGITS, 0.9),
    "iris-mixture": (IRIS, 0.95),
    "digits-mixture": (DIGITS, 0.975),
}
ALL_DATA = pytest.mark.parametrize(("model", "data"), [(model, data) for model, (data, _) in SHIPPED.items()])


@pytest.fixture(scope="module")
def harness():
    with Harness(FAMILIES, MODELS) as harness:
        yield harness


class TestIrisNaiveBayes(ModelConformance):
    store = MODELS
    family = NaiveBayes
    model = "iris-naive-bayes"

    @pytest.fixture
    def harness(self, harness):
        """The one engine of all these models."""
        return harness

    def real_data(self):
        return IRIS.train_inputs


class TestDigitsNaiveBayes(TestIrisNaiveBayes):
    model = "digits-naive-bayes"

    def real_data(self):
        # Of all labels together: given one, naive Bayes is a mean picture plus noise by its definition.
        return DIGITS.train_inputs


class TestIrisMixture(TestIrisNaiveBayes):
    family = GaussianMixture
    model = "iris-mixture"

    def real_data(self):
        return IRIS.train_inputs


class TestDigitsMixture(TestIrisNaiveBayes):
    family = GaussianMixture
    model = "digits-mixture"
    options = {"label": "3"}  # noqa: RUF012

    def real_data(self):
        return DIGITS.train_inputs[DIGITS.train_labels == 3]


def flat(rows):
    return rows.reshape(len(rows), -1).astype(np.float64)


def scikit_joint(model, data):
    """ln p(x, y) of the held-out rows, by scikit-learn with the parameters of a version that ships."""
    tensors = load_file(MODELS / model / "1" / WEIGHTS)
    labels = len(data.labels)
    if "variances" in tensors:
        bayes = GaussianNB()
        bayes.classes_, bayes.class_prior_ = np.arange(labels), tensors["prior"]
        bayes.theta_, bayes.var_ = tensors["means"][:, 0], tensors["variances"][:, 0]
        return bayes.predict_joint_log_proba(flat(data.test_inputs))
    scores = []
    for label in range(labels):
        means = tensors["means"][label]
        lower = np.zeros((len(means), means.shape[1], means.shape[1]))
        lower[:, *np.tril_indices(means.shape[1])] = tensors["factors"][label]
        mixture = ScikitMixture(len(means))
        mixture.weights_, mixture.means_ = tensors["weights"][label], means
        mixture.precisions_cholesky_ = np.linalg.inv(lower).transpose(0, 2, 1)
        scores.append(mixture.score_samples(flat(data.test_inputs)))
    return np.stack(scores, axis=1) + np.log(tensors["prior"])


@ALL_DATA
def test_probabilities_and_scores_are_those_of_scikit_learn_on_all_held_out_rows(harness, model, data):
    joint = scikit_joint(model, data)
    probabilities = harness.call(model, "classify", data.test_inputs)
    np.testing.assert_allclose(probabilities, np.exp(log_softmax(joint, axis=1)), rtol=0, atol=1e-5)
    scores = harness.call(model, "score", data.test_inputs)
    np.testing.assert_allclose(scores, logsumexp(joint, axis=1), rtol=1e-9, atol=1e-5)
    for label, name in enumerate(data.labels):
        of_label = harness.call(model, "score", data.test_inputs, {"label": name})
        np.testing.assert_allclose(of_label, joint[:, label], rtol=1e-9, atol=1e-5)


@pytest.mark.parametrize(("model", "least"), [(model, least) for model, (_, least) in SHIPPED.items()])
def test_accuracy_on_the_held_out_rows(harness, model, least):
    data, _ = SHIPPED[model]
    probabilities = harness.call(model, "classify", data.test_inputs)
    assert (probabilities.argmax(axis=1) == data.test_labels).mean() >= least


@ALL_DATA
def test_what_is_drawn_has_the_label_that_was_asked_for(harness, model, data):
    samples = harness.sample(model, 200, seed=2, options={"label": data.labels[1]})
    probabilities = harness.call(model, "classify", samples)
    # The classifier reads drawn rows as the Bayes-optimal one would: it is the posterior of the very same density.
    assert (probabilities.argmax(axis=1) == 1).mean() >= 0.9


@ALL_DATA
def test_draws_have_the_moments_of_the_parameters(harness, model, data):
    tensors = load_file(MODELS / model / "1" / WEIGHTS)
    samples = flat(harness.sample(model, 4000, seed=8, options={"label": 0}))
    weights, means = tensors["weights"][0], tensors["means"][0]
    mean = weights @ means
    error = (samples.mean(axis=0) - mean) / (samples.std(axis=0) / np.sqrt(len(samples)))
    assert np.abs(error).max() < 5
    if "variances" in tensors:
        np.testing.assert_allclose(samples.var(axis=0), tensors["variances"][0, 0], rtol=0.15)
        return
    lower = np.zeros((len(means), means.shape[1], means.shape[1]))
    lower[:, *np.tril_indices(means.shape[1])] = tensors["factors"][0]
    second = np.einsum("k,kij,klj->il", weights, lower, lower) + np.einsum("k,ki,kj->ij", weights, means, means)
    covariance = second - np.outer(mean, mean)
    assert np.linalg.norm(np.cov(samples.T) - covariance) < 0.1 * np.linalg.norm(covariance)


def test_without_a_label_every_label_is_drawn_by_its_share(harness):
    samples = harness.sample("digits-mixture", 2000, seed=4)
    read = harness.call("digits-mixture", "classify", samples).argmax(axis=1)
    shares = np.bincount(read, minlength=10) / len(read)
    np.testing.assert_allclose(shares, np.bincount(DIGITS.train_labels) / len(DIGITS.train_labels), atol=0.03)


def test_the_mean_score_of_draws_is_the_negative_entropy(harness):
    """E[ln p(x)] under p itself lies above the mean score of any other data: Gibbs' inequality."""
    own = harness.call("iris-mixture", "score", harness.sample("iris-mixture", 2000, seed=6))
    others = harness.call("iris-mixture", "score", harness.sample("iris-naive-bayes", 2000, seed=6))
    assert own.mean() > others.mean() + 0.5


def test_a_row_far_from_all_data_still_has_finite_answers(harness):
    far = np.full((2, 4), 1e4, np.float32)
    for model in ("iris-naive-bayes", "iris-mixture"):
        assert np.isfinite(harness.call(model, "score", far)).all()
        np.testing.assert_allclose(harness.call(model, "classify", far).sum(axis=1), 1)


def test_a_picture_clips_what_lies_beyond_black_and_white_and_the_sample_does_not():
    from io import BytesIO

    from PIL import Image

    manifest = ModelStore([MODELS]).manifest("digits-mixture", 1)
    sample = np.full((8, 8, 1), 1.5, np.float32)
    file = GaussianMixture(manifest.config).encode_media("image/png", sample)
    assert np.asarray(Image.open(BytesIO(file))).min() == 255


@pytest.mark.parametrize(
    "inputs", [np.zeros((1, 5), np.float32), np.zeros((1, 4)), np.full((1, 4), np.nan, np.float32)]
)
def test_rows_of_another_shape_or_type_or_with_nan_are_refused(harness, inputs):
    with pytest.raises(InvalidRequest, match="inputs"):
        harness.call("iris-mixture", "classify", inputs)


def test_an_unknown_label_is_refused_with_what_there_is(harness):
    with pytest.raises(InvalidRequest, match="Did you mean 'setosa'"):
        harness.sample("iris-mixture", 1, options={"label": "setosum"})


def run_of(data, directory, settings=None, seed=0):
    told = []
    return FitRun(directory, directory, data, seed, settings or {}, lambda *figures: told.append(figures)), told


def joint(family, run):
    model = family(family.fit(run))
    model.load(run.directory)
    options = SimpleNamespace(label=tf.fill([len(run.data.test_inputs)], tf.constant(-1, tf.int64)))
    return model.logits(run.data.test_inputs, options).numpy()


@pytest.mark.parametrize("smoothing", [1e-9, 0.05])
def test_naive_bayes_trains_as_scikit_learn_does(smoothing, tmp_path):
    run, told = run_of(DIGITS, tmp_path, {"var_smoothing": smoothing})
    fitted = GaussianNB(var_smoothing=smoothing).fit(flat(DIGITS.train_inputs), DIGITS.train_labels)
    expected = fitted.predict_proba(flat(DIGITS.test_inputs))
    np.testing.assert_allclose(np.exp(log_softmax(joint(NaiveBayes, run), axis=1)), expected, atol=1e-5)
    assert told[-1][:2] == (1, 1)


def test_a_mixture_trains_the_same_for_the_same_seed(tmp_path):
    joints = []
    for number, seed in enumerate((0, 0, 1)):
        directory = tmp_path / str(number)
        directory.mkdir()
        run, told = run_of(IRIS, directory, {"components": 3, "reg_covar": 0.01, "restarts": 1}, seed)
        joints.append(joint(GaussianMixture, run))
        assert [done for done, *_ in told] == [1, 2, 3]
    np.testing.assert_array_equal(joints[0], joints[1])
    assert not np.array_equal(joints[0], joints[2])


def test_a_mixture_of_one_component_is_a_gaussian_a_label(tmp_path):
    run, _ = run_of(IRIS, tmp_path, {"components": 1, "reg_covar": 1e-13})
    rows = flat(IRIS.train_inputs)[IRIS.train_labels == 2]
    config = GaussianMixture.fit(run)
    tensors = load_file(tmp_path / WEIGHTS)
    assert config["components"] == 1
    np.testing.assert_allclose(tensors["means"][2, 0], rows.mean(axis=0))
    lower = np.zeros((4, 4))
    lower[np.tril_indices(4)] = tensors["factors"][2, 0]
    np.testing.assert_allclose(lower @ lower.T, np.cov(rows.T, bias=True), atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_setting_of_training_is_refused(family, tmp_path):
    with pytest.raises(SettingsError, match="no setting"):
        family.fit(run_of(IRIS, tmp_path, {"component": 2})[0])


def with_labels(train_labels, labels, inputs=IRIS.train_inputs):
    return DataSet("toys", inputs, train_labels, inputs[:2], train_labels[:2], labels, "CC0-1.0", "")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("data", "match"),
    [
        (with_labels(np.zeros(0, np.int64), ()), "rows of numbers with labels"),
        (with_labels(IRIS.train_labels, IRIS.labels, np.array(["a"] * 105, object)), "rows of numbers with labels"),
        (with_labels(IRIS.train_labels, (*IRIS.labels, "none")), "no row of the label 'none'"),
    ],
)
def test_data_that_has_no_joint_density_is_refused(family, data, match, tmp_path):
    with pytest.raises(DataError, match=match):
        family.fit(run_of(data, tmp_path)[0])


def test_more_components_than_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="35 rows of 'setosa'"):
        GaussianMixture.fit(run_of(IRIS, tmp_path, {"components": 36})[0])


def test_rows_in_a_plane_are_refused_with_what_helps(tmp_path):
    inputs = np.repeat(IRIS.train_inputs[:, :1], 4, axis=1)
    with pytest.raises(DataError, match=r"'setosa': .*increase reg_covar"):
        GaussianMixture.fit(
            run_of(with_labels(IRIS.train_labels, IRIS.labels, inputs), tmp_path, {"reg_covar": 0.0})[0]
        )


def test_parameters_of_another_shape_are_refused(tmp_path):
    save_file(load_file(MODELS / "iris-mixture" / "1" / WEIGHTS), tmp_path / WEIGHTS)
    model = GaussianMixture({"labels": ["a", "b"], "shape": [4], "components": 2})
    with pytest.raises(IntegrityError, match="2 labels"):
        model.load(tmp_path)
