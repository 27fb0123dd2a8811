import re

import pytest

from genservice import errors
from genservice.errors import GenserviceError, suggestion


def tree(base=GenserviceError):
    return [base, *(below for child in base.__subclasses__() for below in tree(child))]


@pytest.mark.parametrize("error", tree())
def test_each_error_has_a_reason_of_its_own_that_clients_can_rely_on(error):
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.reason)
    assert [other for other in tree() if other.reason == error.reason] == [error]


@pytest.mark.parametrize("error", tree())
def test_each_error_is_drawn_in_the_tree_with_its_parent_above_it(error):
    drawn = {name: len(indent) for indent, name in re.findall(r"^([ │├└─]*)(\w+)", errors.__doc__, re.MULTILINE)}
    assert error.__name__ in drawn
    if error is not GenserviceError:
        assert drawn[error.__name__] == drawn[error.__base__.__name__] + 4


def test_an_error_carries_what_programs_need_beside_the_text():
    error = errors.QueueFull("full", field="sample_count", metadata={"rows": "3"}, retry_after_s=1.5)
    assert str(error) == error.message == "full"
    assert (error.field, error.metadata, error.retry_after_s) == ("sample_count", {"rows": "3"}, 1.5)


def test_an_error_has_its_own_copy_of_the_metadata():
    metadata = {"rows": "3"}
    error = errors.QueueFull("full", metadata=metadata)
    metadata["rows"] = "4"
    assert error.metadata == {"rows": "3"}


def test_an_error_without_details_has_none():
    error = errors.NotFound("no")
    assert (error.field, error.metadata, error.retry_after_s) == ("", {}, None)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("snaeker", ["boot", "sneaker"], " Did you mean 'sneaker'?"),
        ("zzz", ["b", "a"], " There are: 'a', 'b'."),
        ("zzz", [], " There are none."),
        ("zzz", (str(number) for number in range(100, 200)), None),
    ],
)
def test_a_suggestion_names_the_nearest_or_what_there_is(name, known, text):
    said = suggestion(name, known)
    assert said == text or (text is None and said.count("'") == 40), "at most twenty are listed"
