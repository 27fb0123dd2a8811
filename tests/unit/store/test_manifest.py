import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genservice.store.manifest import Card, FileEntry, Serving


@given(st.integers(1, 5000))
def test_batch_sizes_are_powers_of_two_up_to_the_most_rows(most):
    sizes = Serving(max_batch_rows=most).sizes
    assert sizes[0] == 1
    assert sizes[-1] == most
    assert all(size & (size - 1) == 0 for size in sizes[:-1])
    assert list(sizes) == sorted(set(sizes))


def test_batch_sizes_that_are_given_are_taken():
    assert Serving(max_batch_rows=24, batch_sizes=(8, 24)).sizes == (8, 24)


@pytest.mark.parametrize("sizes", [(8, 4, 24), (8, 8, 24), (8, 16), (0, 24)])
def test_batch_sizes_that_do_not_ascend_to_the_most_rows_are_refused(sizes):
    with pytest.raises(ValidationError):
        Serving(max_batch_rows=24, batch_sizes=sizes)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "G" * 64, "0" * 64 + "\n"])
def test_a_hash_is_64_lower_case_hexadecimal_digits(sha256):
    with pytest.raises(ValidationError):
        FileEntry(sha256=sha256, size_bytes=1)


def test_a_card_shows_what_it_has_and_leaves_out_the_rest():
    card = Card(summary="Draws shoes.", licence="MIT", trained_by="genservice fit", metrics={"FID": 12.5})
    assert card.markdown() == (
        "Draws shoes.\n\n**Licence.** MIT\n\n**Trained by.** `genservice fit`\n\n"
        "| figure | value |\n| --- | --- |\n| FID | 12.5 |"
    )


def test_an_empty_card_is_empty():
    assert Card().markdown() == ""
