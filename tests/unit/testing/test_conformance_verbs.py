"""The conformance suite on models with other verbs than `sample`: it passes the good ones, and says what is wrong."""

import pytest

from genservice import Classifier, Generator
from genservice.testing import ModelConformance

pytest_plugins = ["pytester"]

MODELS = """
import numpy as np
from pydantic import Field
from genservice import (
    Classifier, Comparer, DataSet, LabellingScorer, Latent, Options, Predictor, Retriever, Scorer, Signature, TensorSpec
)


POINTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
NONE = np.zeros(0, np.int64)
DATA = DataSet("points", POINTS, NONE, POINTS, NONE, (), "CC0-1.0", "made here")
POINT = TensorSpec((3,))

class Untrained:
    traced = False
    def load(self, directory):
        self.known = np.load(directory / "known.npy")
    @classmethod
    def fit(cls, run):
        np.save(run.directory / "known.npy", run.data.train_inputs[: run.settings.get("rows", 10)])
        return {"rows": run.settings.get("rows", 10)}

class Whole(Untrained, Classifier, Scorer, Latent, Comparer, Retriever, Predictor):
    family = "whole"
    event = POINT
    labels = ("a", "b", "c")
    latent = TensorSpec((2,))
    threshold = 1.0
    signatures = {"twice": Signature({"points": POINT}, {"doubles": POINT, "sums": TensorSpec(())})}
    default_signature = "twice"
    def __init__(self, config):
        super().__init__(config)
        self.reference_rows = config["rows"]
    def logits(self, inputs, options):
        return inputs
    def log_prob(self, inputs, options):
        return -np.sum(inputs**2, axis=1)
    def encode(self, inputs, options):
        return inputs[:, :2]
    def decode(self, latents, options):
        return np.pad(latents, ((0, 0), (0, 1))).astype(np.float32)
    def embed(self, inputs, options):
        return inputs
    def neighbours(self, inputs, k, options):
        distances = np.linalg.norm(inputs[:, None] - self.known, axis=-1)
        order = np.argsort(distances, axis=1)[:, : int(k)]
        return order, np.take_along_axis(distances, order, axis=1)
    def predict(self, signature, inputs, options):
        return {"doubles": 2 * inputs["points"], "sums": inputs["points"].sum(axis=1)}

class Chain(Untrained, LabellingScorer):
    family = "chain"
    event = POINT
    labels = ("a", "b", "c")
    positions = 6
    tolerance = 1e-4
    def log_shares(self, values):
        shares = np.exp(values)
        return np.log(shares / shares.sum(axis=-1, keepdims=True))
    def tag(self, sequences, options):
        shares = self.log_shares(sequences.values)
        return shares.argmax(axis=-1).astype(np.int32), np.exp(shares)
    def labelling_log_prob(self, sequences, labels, options):
        chosen = np.take_along_axis(self.log_shares(sequences.values), labels[..., None], axis=-1)[..., 0]
        return np.sum(chosen * (np.arange(self.positions) < sequences.lengths[:, None]), axis=1)

class TwoLabels(Whole):
    labels = ("a", "b")
    def logits(self, inputs, options):
        return inputs

class ScoreAPosition(Whole):
    def log_prob(self, inputs, options):
        return -inputs**2

class OtherLatent(Whole):
    latent = TensorSpec((2,), "float64")

class FarthestFirst(Whole):
    def neighbours(self, inputs, k, options):
        order, distances = super().neighbours(inputs, k, options)
        return order[:, ::-1], distances[:, ::-1]

class AllNeighbours(Whole):
    def neighbours(self, inputs, k, options):
        return super().neighbours(inputs, self.reference_rows, options)

class NoThreshold(Whole):
    threshold = 0.0

class SeesPadding(Chain):
    def tag(self, sequences, options):
        mixed = sequences.values + sequences.values.mean(axis=1, keepdims=True)
        return super().tag(sequences, options)[0], np.exp(self.log_shares(mixed))

class Worst(Chain):
    def tag(self, sequences, options):
        shares = self.log_shares(sequences.values)
        return shares.argmin(axis=-1).astype(np.int32), np.exp(shares)

class Unscaled(Chain):
    def tag(self, sequences, options):
        labels, marginals = super().tag(sequences, options)
        return labels, 2 * marginals

class Undescribed(Whole):
    class Options(Options):
        level: int = Field(0, ge=0, le=3)
"""

SUITE = """
import models
from genservice.testing import ModelConformance
{classes}
"""

UNSET = """
from genservice import Generator
from genservice.testing import ModelConformance

class Dice(Generator):
    family = "dice"

class TestUnset(ModelConformance):
    family = Dice
"""

GOOD = ("Whole", "Chain")
REFUSED = {
    "TwoLabels": "`classify` returned probabilities of shape [3] a row; it is [2]",
    "ScoreAPosition": "`score` returned log_prob of shape [3] a row; it is []",
}
BAD = {
    "OtherLatent": ("test_latents_are_as_declared_and_decode", "`encode` gave float32 [2] a row"),
    "FarthestFirst": ("test_the_nearest_neighbours_come_first", "the nearest comes first"),
    "AllNeighbours": ("test_the_nearest_neighbours_come_first", "`neighbours` gave 10 where 1 was asked for"),
    "NoThreshold": ("test_embeddings_are_vectors", "`threshold` is a distance, above 0"),
    "SeesPadding": ("test_what_pads_a_sequence_changes_nothing", "use `sequences.lengths`"),
    "Worst": ("test_no_labelling_is_more_probable", "more probable than the one that `tag` gave"),
    "Unscaled": ("test_a_tagging_is_of_the_declared_labels", "Not equal to tolerance"),
    "Undescribed": ("test_its_options_are_described", "the option 'level' has no description"),
}


class Dice(Generator):
    family = "dice"


class Named(Classifier):
    family = "named"


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs the suite on families of `models`, in one process, and gives its result."""
    pytester.makepyfile(models=MODELS)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))

    def run(families, *, more="", select=""):
        classes = "".join(
            f"class Test{family}(ModelConformance):\n    family = models.{family}\n    data = models.DATA\n{more}"
            for family in families
        )
        pytester.makepyfile(test_models=SUITE.format(classes=classes))
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA", "-k", select, "test_models.py")

    return run


def test_models_of_every_other_verb_are_trained_and_pass_the_tests_of_what_they_can_do(suite):
    result = suite(GOOD, more="    settings = {'rows': 7}\n")
    assert set(result.parseoutcomes()) == {"passed"}, result.stdout.str()
    # A test of what a family cannot do is left out, not skipped.
    result.stdout.no_fnmatch_line("*TestWhole*padding*")
    result.stdout.fnmatch_lines(["PASSED*TestWhole*test_probabilities_add_up", "PASSED*TestChain*test_what_pads_*"])


def test_what_breaks_the_contract_is_named(suite):
    # Each process that is started to see what a module loads costs a second, and is no matter here.
    result = suite(BAD, select="not loads_no_tensorflow")
    text = result.stdout.str()
    failed = [line for line in text.splitlines() if line.startswith("FAILED")]
    for family, (test, message) in BAD.items():
        assert any(f"Test{family}::{test}" in line for line in failed), (family, text)
        assert message in text, family
    # Nothing else of them fails.
    assert len(failed) == len(BAD), failed


def test_what_the_engine_does_not_load_is_told_with_its_reason(suite):
    result = suite(REFUSED, select="an_unknown_option")
    assert result.parseoutcomes()["errors"] == len(REFUSED)
    for message in REFUSED.values():
        assert message in result.stdout.str()


def test_a_class_without_a_store_and_without_data_is_told_what_to_set(pytester):
    pytester.makepyfile(UNSET)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "an_unknown_option")
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*sets neither `store`, a folder that has the model, nor `data` to train on*"])


def test_a_child_has_the_tests_of_its_own_family_and_not_those_of_its_parents():
    class OfDice(ModelConformance):
        family = Dice

    class OfClasses(OfDice):
        family = Named

    assert OfDice.test_seeds_and_indexes_give_different_samples is not None
    assert OfDice.test_probabilities_add_up is None
    assert OfClasses.test_seeds_and_indexes_give_different_samples is None
    assert OfClasses.test_probabilities_add_up is ModelConformance.test_probabilities_add_up
