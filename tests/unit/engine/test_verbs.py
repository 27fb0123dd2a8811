"""What a model has to say of itself, and what its functions have to give, before it is ready."""

from pathlib import Path

import numpy as np
import pytest
from verb_toys import Pictures, Sums, Tags

from genservice import Signature, TensorSpec
from genservice.engine.checks import check
from genservice.engine.runtime import Runtime
from genservice.engine.verbs import check_declared, check_function, event_of, features_of, functions_of
from genservice.errors import InvalidRequest, PluginError
from genservice.store.manifest import Serving


def altered(kind, **changes):
    return type(f"Altered{kind.__name__}", (kind,), changes)({})


def test_a_model_that_only_predicts_has_no_event():
    model = Sums({})
    check_declared(model)
    assert event_of(model) is None
    assert features_of(model) == ()
    assert functions_of(model) == ("predict:add", "predict:count")


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        (Pictures, {"event": None}, "declares no `event`"),
        (Pictures, {"labels": ()}, "declares no `labels`"),
        (Pictures, {"threshold": None}, "declares no `threshold`"),
        (Pictures, {"reference_rows": 0}, "`reference_rows`"),
        (Tags, {"positions": None}, "declares no `positions`"),
        (Tags, {"positions": 0}, "`positions`"),
        (Sums, {"default_signature": "ad"}, "none of these: add, count"),
        (Sums, {"signatures": {"add": Signature({}, {"n": TensorSpec(())})}}, "no inputs or no outputs"),
        (
            Sums,
            {"signatures": {"add": Signature({"a": TensorSpec(())}, {"name": TensorSpec((), "string")})}},
            "gives strings, as name",
        ),
    ],
)
def test_a_model_that_leaves_out_what_others_rely_on_is_refused(kind, changes, says):
    with pytest.raises(PluginError, match=says):
        check_declared(altered(kind, **changes))


def test_only_functions_that_a_worker_runs_can_be_called():
    for function in functions_of(Pictures({})):
        check_function(Pictures({}), function)
    with pytest.raises(ValueError, match="compare"):
        check_function(Pictures({}), "compare")
    with pytest.raises(InvalidRequest, match="count"):
        check_function(Sums({}), "predict:cuont")


@pytest.mark.parametrize(
    ("kind", "method", "broken", "says"),
    [
        (Pictures, "logits", lambda self, inputs, options: np.zeros((len(inputs), 3)), "probabilities of shape"),
        (Pictures, "embed", lambda self, inputs, options: inputs, "embeddings of shape"),
        (
            Pictures,
            "neighbours",
            lambda self, inputs, k, options: (np.zeros((len(inputs), 2), int), np.zeros((len(inputs), 2))),
            "indexes of shape",
        ),
        (Tags, "labelling_log_prob", lambda self, sequences, labels, options: labels * 1.0, "log_prob of shape"),
    ],
)
def test_results_of_a_wrong_shape_keep_a_model_from_getting_ready(kind, method, broken, says):
    model = altered(kind, **{method: broken})
    runtime = Runtime(model, Serving(max_batch_rows=4))
    runtime.load(Path())
    with pytest.raises(PluginError, match=says):
        list(check(runtime))


def test_what_a_tagger_leaves_in_the_padding_does_not_get_out():
    class Careless(Tags):
        def tag(self, sequences, options):
            labels, marginals = super().tag(sequences, options)
            outside = np.arange(self.positions) >= np.asarray(sequences.lengths)[:, None]
            marginals[outside] = np.nan
            return labels, marginals

    runtime = Runtime(Careless({}), Serving(max_batch_rows=4))
    runtime.load(Path())
    list(runtime.warm_up())
    assert runtime.answer_row_bytes["tag"] == 5 * 4 + 5 * 2 * 4
