"""The models that ship: they keep what every model keeps, and are as good as their cards say."""

from pathlib import Path

import numpy as np
import pytest

import genservice_sequence
from genservice.engine.sequences import pad
from genservice.errors import DataError, InvalidRequest, OutOfRange
from genservice.testing import ModelConformance
from genservice.training import letters, treebank
from genservice.training.cache import cache_folder
from genservice_sequence import ConditionalRandomField

MODELS = Path(genservice_sequence.__file__).parent / "models"


def accuracy(harness, model, description, load):
    """Parts of the positions, and of the sequences, that are right in what is held out."""
    try:
        data = load(cache_folder())
    except DataError as missing:
        pytest.skip(missing.message)
    right = []
    for start in range(0, len(data.test_inputs), 64):
        chosen = slice(start, start + 64)
        tagged = harness.call(model, "tag", pad(description, list(data.test_inputs[chosen])))
        labelled = zip(tagged["labels"], data.test_labels[chosen], strict=True)
        right += [labels[: len(wanted)] == wanted for labels, wanted in labelled]
    return np.concatenate(right).mean(), np.mean([row.all() for row in right])


class TestLetters(ModelConformance):
    family = ConditionalRandomField
    store = MODELS
    model = "letters"

    def test_letters_are_read_as_well_as_the_card_says(self, harness, description):
        of_letters, of_words = accuracy(harness, self.model, description, letters.load)
        assert of_letters >= 0.97
        assert of_words >= 0.86

    def test_a_picture_with_a_pixel_out_of_range_or_of_another_shape_is_refused(self, description):
        with pytest.raises(OutOfRange, match="0 to 1"):
            pad(description, [np.full((2, 16, 8), 1.5, np.float32)])
        with pytest.raises(InvalidRequest, match="shape"):
            pad(description, [np.zeros((2, 8, 16), np.float32)])


class TestTurkishPos(ModelConformance):
    family = ConditionalRandomField
    store = MODELS
    model = "turkish-pos"

    def test_words_are_tagged_as_well_as_the_card_says(self, harness, description):
        of_words, of_sentences = accuracy(harness, self.model, description, treebank.load)
        assert of_words >= 0.944
        assert of_sentences >= 0.475

    def test_a_sentence_is_tagged_as_grammar_has_it(self, harness, description):
        sentence = ["Ankara", "T\u00fcrkiye'nin", "ba\u015fkentidir", "."]
        labels = harness.call(self.model, "tag", pad(description, [sentence]))["labels"][0, :4]
        assert [description.labels[label] for label in labels] == ["NOUN", "NOUN", "VERB", "PUNCT"]

    @pytest.mark.parametrize(
        ("sequence", "error", "reason"),
        [
            ([], InvalidRequest, "no positions"),
            (["a"] * 129, OutOfRange, "129 positions"),
            (["Bu", ""], InvalidRequest, "position 1: a word has 1 to 256 characters"),
            (["Bu bir"], InvalidRequest, "split it first"),
        ],
    )
    def test_what_is_no_sequence_of_words_is_refused(self, description, sequence, error, reason):
        with pytest.raises(error, match=reason):
            pad(description, [sequence])
