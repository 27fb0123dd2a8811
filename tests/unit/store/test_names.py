from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice.errors import InvalidName, InvalidRequest
from genservice.store.names import ModelName, check_file, check_name, is_safe, parse_version

safe_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True).filter(lambda name: ".." not in name)
versions = st.integers(1, 999_999_999)


@given(
    st.builds(ModelName, safe_names)
    | st.builds(ModelName, safe_names, version=versions)
    | st.builds(ModelName, safe_names, label=safe_names)
)
def test_a_resource_name_is_read_as_it_is_written(name):
    assert ModelName.parse(str(name)) == name


@given(st.text())
def test_whatever_is_read_is_written_the_same(text):
    for prefix in ("", "models/", "models/gan/versions/", "models/gan/labels/"):
        with suppress(InvalidRequest):
            assert str(ModelName.parse(prefix + text)) == prefix + text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gan",
        "models",
        "models/",
        "models/..",
        "models/a..b",
        "models/.gan",
        "models/-gan",
        "models/Gan",
        "models/gän",
        "models/gan\n",
        "models/gan/",
        "models/gan/3",
        "models/gan/versions",
        "models/gan/versions/",
        "models/gan/versions/0",
        "models/gan/versions/03",
        "models/gan/versions/-1",
        "models/gan/versions/stable",
        "models/gan/versions/٣",
        "models/gan/versions/1000000000",
        "models/gan/labels/",
        "models/gan/labels/..",
        "models/gan/labels/Stable",
        "models/gan/labels/stable/3",
        "/models/gan",
        "models/" + "a" * 64,
    ],
)
def test_other_resource_names_are_refused_with_the_three_forms(text):
    with pytest.raises(InvalidRequest, match="models/MODEL', 'models/MODEL/versions/NUMBER'") as refusal:
        ModelName.parse(text)
    assert refusal.value.field == "model"


def test_the_error_names_the_field_that_the_name_came_in():
    with pytest.raises(InvalidRequest, match="`classifier`") as refusal:
        ModelName.parse("gan", field="classifier")
    assert refusal.value.field == "classifier"


def test_a_name_of_63_characters_is_the_longest():
    assert is_safe("a" * 63)
    assert not is_safe("a" * 64)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "a..b", "a\0", "a b", "_a"])
def test_an_unsafe_name_is_refused_and_what_it_names_is_said(name):
    with pytest.raises(InvalidName, match="cannot name a label"):
        check_name(name, "label")


def test_a_safe_name_is_let_through():
    assert check_name("fashion-gan_2.1", "model") == "fashion-gan_2.1"


@pytest.mark.parametrize("text", ["", "0", "01", "+1", "1 ", "1.0", ".1.ab.partial"])
def test_what_is_no_version_number_is_none(text):
    assert parse_version(text) is None


@pytest.mark.parametrize("path", ["weights.safetensors", "a/b/c.bin", ".hidden", "..a", "with space"])
def test_a_path_inside_the_version_is_let_through(path):
    assert check_file(path) == path


@pytest.mark.parametrize("path", ["", ".", "..", "/etc/passwd", "a/../b", "../b", "a//b", "./a", "a/", "a\0", "a\\b"])
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(InvalidName, match="cannot be a file of a version"):
        check_file(path)
