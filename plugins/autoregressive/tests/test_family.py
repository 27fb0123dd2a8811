"""The family: prompts, lengths and options of each row by itself, addresses, and probabilities."""

import subprocess
import sys
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from genservice.errors import InvalidRequest
from genservice.model.noise import Noise, TensorFlowOps, words

SLOTS = 8


@pytest.fixture(scope="module")
def machine(tiny, driver):
    return driver(tiny, SLOTS)


@pytest.fixture(scope="module")
def drive(machine):
    """Gives the texts and the logits of rows, by name, each entering at its own slot and before its own step."""

    def run(*rows):
        step = 0
        rows = list(rows)
        while rows:
            for row in [row for row in rows if row["before"] == step]:
                machine.enter(row["slot"], **{key: row[key] for key in row if key not in ("slot", "before")})
                rows.remove(row)
            machine.step()
            step += 1
        machine.run()
        return dict(machine.texts), dict(machine.logits)

    return run


def row(name="row", slot=0, before=0, **more):
    return {"name": name, "slot": slot, "before": before, "max_length": 12, **more}


def test_no_tensorflow_is_imported_with_the_family():
    code = "import sys, genservice_autoregressive; print({'tensorflow', 'keras'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_row_is_the_same_to_the_bit_wherever_and_whenever_and_beside_whomever(drive):
    texts, logits = drive(row(prompt="abc", index=3))
    alone = texts["row"], logits["row"]
    assert len(alone[0]) == 12
    for slot, before in product((0, 3, SLOTS - 1), (0, 5)):
        neighbours = [
            row(f"n{place}", place, place, prompt="h" * place, seed=place, temperature=2.0, top_k=3, top_p=0.7)
            for place in range(SLOTS)
            if place != slot
        ]
        texts, logits = drive(row(slot=slot, before=before, prompt="abc", index=3), *neighbours)
        assert (texts["row"], logits["row"]) == alone


def test_a_slot_remembers_nothing_of_the_row_before(drive):
    fresh, _ = drive(row(prompt="a"))
    drive(row("other", prompt="hhhhhh", seed=1, max_length=17))
    again, _ = drive(row(prompt="a"))
    assert again["row"] == fresh["row"]


def test_seeds_and_indexes_and_prompts_give_other_texts(drive):
    texts, _ = drive(row("a"), row("b", 1, index=1), row("c", 2, seed=8), row("d", 3, prompt="f"))
    assert len({texts[name] for name in "abcd"}) == 4


def test_what_is_drawn_has_the_probabilities_of_the_whole_text(drive, tiny):
    texts, logits = drive(row(prompt="dad ", max_length=10))
    text = "dad " + texts["row"]
    tokens = np.concatenate([[len(tiny._vocabulary)], tiny._vocabulary.encode(text[:-1])])[None].astype(np.int32)
    whole = np.asarray(tiny._decoder(tokens))[0]
    stepped = np.stack([np.frombuffer(part, np.float32) for part in logits["row"]])
    assert len(stepped) == len("dad ") + 10
    np.testing.assert_allclose(stepped, whole, atol=1e-5)


def test_without_temperature_the_likeliest_is_drawn_whatever_the_seed(drive, tiny):
    texts, logits = drive(*(row(f"{seed}", seed, seed=seed, temperature=0.0) for seed in range(3)))
    likeliest = "".join(tiny.detokenize([np.frombuffer(part, np.float32).argmax()]) for part in logits["0"])
    assert {texts[name] for name in "012"} == {likeliest}
    texts, _ = drive(row("k", 0, top_k=1), row("p", 1, top_p=0.0))
    assert {texts["k"], texts["p"]} == {likeliest}


@pytest.mark.parametrize("max_length", [1, 5, 23])
def test_so_many_characters_are_drawn_and_a_full_context_ends_a_row(drive, max_length):
    prompt = "a" * (23 - max_length)
    texts, logits = drive(row(max_length=max_length), row("full", 1, prompt=prompt, max_length=max_length))
    assert len(texts["row"]) == len(texts["full"]) == max_length == len(logits["row"])
    assert len(logits["full"]) == 23


def test_a_row_that_stays_in_its_slot_after_its_end_does_no_harm(drive, machine):
    texts, _ = drive(row(prompt="abc", index=3))
    machine.enter(0, "short", max_length=1)
    for _ in range(60):
        machine.step()
    assert np.isfinite(machine.state["keys"].numpy()).all()
    again, _ = drive(row(prompt="abc", index=3, slot=1), row("next", prompt="a"))
    assert again["row"] == texts["row"]


def test_the_same_row_twice_in_one_slot_enters_once(tiny):
    import tensorflow as tf

    state = tiny.allocate(3)
    options = SimpleNamespace(
        temperature=tf.constant([1.0, 0.5, 0.5]),
        top_k=tf.constant([0, 2, 2], tf.int64),
        top_p=tf.constant([1.0, 0.9, 0.9]),
        max_length=tf.constant([4, 6, 6], tf.int64),
    )
    noise = Noise(words([0] * 3), words([0] * 3), np.zeros(3))
    prompts = np.stack([tiny.tokenize(text) for text in ("a", "bcd", "bcd")])
    tiny.enter(state, tf.constant([2, 0, 0]), noise, options, {"prompt": prompts})
    assert state["prompt_length"].numpy().tolist() == [3, 0, 1]
    assert state["max_length"].numpy().tolist() == [6, 0, 4]
    assert all(variable.shape[0] == 3 for variable in state.values())


def test_it_draws_by_itself(tiny):
    import tensorflow as tf

    noise = Noise(tf.constant(words([1, 1])), tf.constant(words([0, 1])), tf.zeros(2, tf.uint32), TensorFlowOps())
    options = SimpleNamespace(
        temperature=tf.ones(2), top_k=tf.zeros(2, tf.int64), top_p=tf.ones(2), max_length=tf.constant([3, 5], tf.int64)
    )
    prompts = tf.constant(np.stack([tiny.tokenize(text) for text in ("a", "bcd")]))
    assert [len(text) for text in tiny.sample(noise, options, {"prompt": prompts})] == [3, 5]


def test_the_probability_of_a_text_is_the_product_along_it(tiny):
    text = "a bad cafe"
    tokens = tiny._vocabulary.encode(text)
    inputs = np.concatenate([[len(tiny._vocabulary)], tokens[:-1]])[None].astype(np.int32)
    logits = np.asarray(tiny._decoder(inputs))[0].astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = log_probs[np.arange(len(tokens)), tokens].sum()
    rows = np.stack([tiny.tokenize(part) for part in (text, "", text)])
    scores = np.asarray(tiny.log_prob(rows, None))
    assert scores.dtype == np.float32
    assert scores[1] == 0
    np.testing.assert_allclose(scores[[0, 2]], expected, rtol=1e-5)


def test_the_probabilities_of_all_texts_of_a_length_sum_to_one(tiny):
    characters = tiny.config["characters"]
    rows = np.stack([tiny.tokenize("".join(text)) for text in product(characters, repeat=2)])
    assert np.exp(np.asarray(tiny.log_prob(rows, None), np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_scores_are_the_same_to_the_bit_at_other_places_of_a_batch(tiny):
    import tensorflow as tf

    score = tf.function(lambda rows: tiny.log_prob(rows, None), jit_compile=True, autograph=False)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh "), length)) for length in (1, 5, 12, 22, 23, 3, 9, 0)]
    rows = np.stack([tiny.tokenize(text) for text in texts])
    scores = score(tf.constant(rows)).numpy()
    for shift in range(1, len(rows)):
        np.testing.assert_array_equal(np.roll(scores, shift), score(tf.constant(np.roll(rows, shift, axis=0))).numpy())
    np.testing.assert_array_equal(score(tf.constant(rows[[3] * 8])).numpy(), scores[[3] * 8])


def test_texts_become_tokens_and_texts_again(tiny):
    text = "a bad cafe\n"
    tokens = tiny.tokenize(text)
    assert tokens.dtype == np.int32
    assert tokens.shape == tiny.tokens.shape == (23,)
    assert (tokens[len(text) :] == -1).all()
    assert tiny.detokenize(tokens[: len(text)].tolist()) == text
    assert tiny.detokenize([]) == ""


@pytest.mark.parametrize(
    ("text", "message"), [("abé", r"'é' \(U\+00E9\) at place 2 .* 10"), ("a" * 24, "24 characters; 23 is the most")]
)
def test_a_text_that_the_model_cannot_take_is_refused_with_the_reason(tiny, text, message):
    with pytest.raises(ValueError, match=message):
        tiny.tokenize(text)


def test_a_prompt_leaves_room_for_what_is_drawn(tiny):
    tiny.validate("sample", tiny.Options(max_length=20), {"prompt": ["", "abc"]})
    tiny.validate("sample", tiny.Options(max_length=23), {})
    tiny.validate("score", tiny.Options(), {"inputs": ["a" * 23]})
    with pytest.raises(InvalidRequest, match="room for 19") as refused:
        tiny.validate("sample", tiny.Options(max_length=20), {"prompt": ["abc", "abcd"]})
    assert refused.value.field == "options.max_length"
