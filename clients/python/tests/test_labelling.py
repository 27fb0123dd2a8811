"""Sequences, their labels and scores; and signatures."""

import numpy as np
import pytest

import genservice_client as gc_client

# The fake gives a token the label at the place of its length modulo 3.
SENTENCES = [["a", "bb", "ccc"], ["dd"]]


async def test_each_position_gets_a_label_and_its_probabilities(side, client, service):
    first, second = await side.call(client.tag("pos", SENTENCES, temperature=0.5))
    assert (first.labels, second.labels) == (("one", "two", "zero"), ("two",))
    assert (len(first), first.model, first.columns) == (3, "models/digits/versions/3", ("zero", "one", "two"))
    assert first.marginals.shape == (3, 3)
    assert first.probability.tolist() == pytest.approx([0.6] * 3)
    (request,) = service.requests["Tag"]
    assert [list(sequence.tokens.rows) for sequence in request.sequences] == SENTENCES
    assert request.options["temperature"].double_value == 0.5


async def test_a_label_may_be_less_probable_than_another_at_its_position():
    marginals = np.array([[0.7, 0.3], [0.4, 0.6]], np.float32)
    tagging = gc_client.Tagging("m", ("b", "b"), marginals, ("a", "b"))
    assert tagging.probability.tolist() == pytest.approx([0.3, 0.6])


@pytest.mark.parametrize("sequences", [[np.array([[1], [22]], np.float32)], np.array([[[1], [22]]], np.float32)])
async def test_arrays_are_sequences(side, client, sequences):
    (tagging,) = await side.call(client.tag("letters", sequences))
    assert tagging.labels == ("one", "two")


async def test_many_sequences_go_in_several_requests(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=2))
    tagged = await side.call(client.tag("pos", [["a"] * (place + 1) for place in range(5)]))
    assert [len(tagging) for tagging in tagged] == [1, 2, 3, 4, 5]
    assert [len(request.sequences) for request in service.requests["Tag"]] == [2, 2, 1]


WRONG = {
    "one string": ("a sentence", TypeError, "sequences is a string"),
    "strings": (["a sentence"], TypeError, r"sequences\[0\] is a string"),
    "none": ([], ValueError, "one sequence or more"),
    "an empty one": ([["a"], []], ValueError, r"sequences\[1\] has shape"),
    "files": ([[b"\x89PNG\r\n\x1a\n"]], TypeError, "has image files"),
}


@pytest.mark.parametrize(("sequences", "error", "message"), WRONG.values(), ids=WRONG)
async def test_what_are_no_sequences_is_refused_before_a_call(side, client, service, sequences, error, message):
    with pytest.raises(error, match=message):
        await side.call(client.tag("pos", sequences))
    assert not service.metadata


async def test_answers_that_do_not_fit_are_refused(side, running, service):
    service.labels = ("zero", "one")
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=1))
    with pytest.raises(gc_client.ProtocolError, match=r"marginals \[3, 3\] came, of 2 labels"):
        await side.call(client.tag("pos", SENTENCES))


async def test_a_labelling_is_scored(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=1))
    labellings = [["one", "two", "zero"], ["two"]]
    score = await side.call(client.score("pos", sequences=SENTENCES, labellings=labellings))
    assert score.log_prob.tolist() == [-3, -1]
    sent = [[list(rows.rows) for rows in request.labellings] for request in service.requests["Score"]]
    assert sent == [[labellings[0]], [labellings[1]]]


WRONG_SCORES = {
    "nothing": ({}, TypeError, "give inputs"),
    "both": ({"inputs": np.zeros((1, 1)), "sequences": SENTENCES}, TypeError, "give inputs"),
    "no labels": ({"sequences": SENTENCES}, TypeError, "give inputs"),
    "too few": ({"sequences": SENTENCES, "labellings": [["one"]]}, ValueError, "1 labellings for 2 sequences"),
    "too short": ({"sequences": [["a", "b"]], "labellings": [["one"]]}, ValueError, r"labellings\[0\] has 1 labels"),
    "numbers": ({"sequences": [["a"]], "labellings": [np.zeros(1)]}, TypeError, "strings are needed here"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG_SCORES.values(), ids=WRONG_SCORES)
async def test_what_cannot_be_scored_is_refused_before_a_call(side, client, service, arguments, error, message):
    with pytest.raises(error, match=message):
        await side.call(client.score("pos", **arguments))
    assert not service.metadata


async def test_a_signature_is_called_by_its_inputs_names(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=2))
    inputs = {"x": np.arange(3, dtype=np.float32), "y": np.ones((3, 2), np.float32)}
    outputs = await side.call(client.predict("mine", inputs, signature="serve", flag=True))
    assert sorted(outputs) == ["x_doubled", "y_doubled"]
    assert outputs["x_doubled"].tolist() == [0, 2, 4]
    assert outputs["y_doubled"].shape == (3, 2)
    assert [request.signature for request in service.requests["Predict"]] == ["serve"] * 2
    assert service.requests["Predict"][0].options["flag"].bool_value
    await side.call(client.predict("mine", {"x": np.zeros(1, np.float32)}))
    assert service.requests["Predict"][-1].signature == ""


WRONG_INPUTS = {
    "none": ({}, ValueError, "inputs is empty"),
    "of different rows": ({"x": np.zeros(2), "y": np.zeros(3)}, ValueError, "differ in their rows"),
    "strings": ({"x": ["a"]}, TypeError, "has no numbers"),
    "a scalar": ({"x": 1.0}, ValueError, "first dimension"),
}


@pytest.mark.parametrize(("inputs", "error", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
async def test_what_no_signature_takes_is_refused_before_a_call(side, client, service, inputs, error, message):
    with pytest.raises(error, match=message):
        await side.call(client.predict("mine", inputs))
    assert not service.metadata
