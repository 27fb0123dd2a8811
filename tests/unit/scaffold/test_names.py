import pytest

from genservice.scaffold.names import PluginName


def test_a_name_gives_the_module_and_the_family() -> None:
    name = PluginName.parse("genservice-two-moons")
    assert (name.module, name.family) == ("genservice_two_moons", "two-moons")


def test_a_name_without_the_prefix_is_the_family() -> None:
    assert PluginName.parse("moons2").family == "moons2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "such as 'genservice-mine'"),
        ("-", "such as 'genservice-mine'"),
        ("Two Moons", "such as 'genservice-two-moons'"),
        ("genservice_moons", "such as 'genservice-moons'"),
        ("../moons", "such as 'genservice-moons'"),
        ("moons/../..", "such as 'genservice-moons'"),
        ("2moons", "such as 'genservice-2moons'"),
        ("moons-", "such as 'genservice-moons'"),
        ("two--moons", "such as 'genservice-two-moons'"),
        ("möwe", "begins with a letter"),
        ("moons\n", "such as 'genservice-moons'"),
        ("m" * 51, "at most 50"),
        ("class", "keyword"),
        ("match", "keyword"),
        ("json", "taken"),
        ("numpy", "taken"),
        ("genservice", "taken"),
        ("genservice-client", "taken"),
    ],
)
def test_a_name_that_would_break_something_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PluginName.parse(text)


@pytest.mark.parametrize("text", ["Two Moons", "a" * 90, "2moons", "???", "genservice_moons"])
def test_the_name_that_is_proposed_instead_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match="such as") as refusal:
        PluginName.parse(text)
    proposed = str(refusal.value).rsplit("'", 2)[1]
    assert PluginName.parse(proposed).distribution == proposed
