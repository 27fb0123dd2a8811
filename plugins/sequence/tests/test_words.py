import subprocess
import sys

import numpy as np
import pytest

from genservice_sequence.words import FEATURES, features, hashed, lower, shape


@pytest.mark.parametrize(
    ("word", "turkish", "small"),
    [
        ("ISPARTA", True, "\u0131sparta"),
        ("\u0130STANBUL", True, "istanbul"),
        ("ISPARTA", False, "isparta"),
        ("\u00c7A\u011eRI", True, "\u00e7a\u011fr\u0131"),
    ],
)
def test_a_turkish_i_keeps_its_dot_or_has_none(word, turkish, small):
    assert lower(word, turkish=turkish) == small


@pytest.mark.parametrize(
    ("word", "kinds"), [("Ankara'da", "Xx'x"), ("1923.", "0."), ("TBMM", "X"), ("iPhone5", "xXx0"), ("...", ".")]
)
def test_the_shape_of_a_word_has_each_run_once(word, kinds):
    assert shape(word) == kinds


def test_the_features_of_a_word():
    assert list(features("\u0130yi", turkish=True)) == [
        "word=\u0130yi",
        "lower=iyi",
        "suffix=i",
        "suffix=yi",
        "suffix=iyi",
        "prefix=i",
        "prefix=iy",
        "prefix=iyi",
        "shape=Xx",
    ]


def test_a_word_has_at_most_as_many_features_as_there_are_tokens_and_the_rest_is_padding():
    long, short = (hashed(word, 1000, turkish=True) for word in ("kalemlerimiz", "o"))
    assert long.dtype == short.dtype == np.int32
    assert long.shape == short.shape == (FEATURES,)
    assert (long >= 0).all()
    assert (long < 1000).all()
    assert (short >= 0).sum() == 5
    assert (short[5:] == -1).all()


def test_the_same_word_written_with_other_code_points_is_the_same():
    composed, decomposed = "\u00e7ok", "c\u0327ok"
    np.testing.assert_array_equal(hashed(composed, 99, turkish=True), hashed(decomposed, 99, turkish=True))


def test_tokens_are_the_same_in_every_process():
    code = "from genservice_sequence.words import hashed; print(*hashed('kitap', 16384, turkish=True))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(token) for token in hashed("kitap", 16384, turkish=True)]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("", "1 to 256 characters"),
        ("a" * 257, "has 257"),
        ("bu bir", "split it first"),
        (" bu", "split it first"),
        ("\n", "split it first"),
    ],
)
def test_what_is_no_word_is_refused(word, reason):
    with pytest.raises(ValueError, match=reason):
        hashed(word, 16384, turkish=True)
