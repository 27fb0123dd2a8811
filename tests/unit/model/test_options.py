from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from genservice import ANY_LABEL, Label, Options, Static
from genservice.errors import InvalidRequest, OutOfRange, PluginError
from genservice.model.options import parse_options, static_names, static_values

LABELS = ("boot", "sandal", "sneaker")


class ShoeOptions(Options):
    label: Label = ANY_LABEL
    truncation_psi: float = Field(default=1.0, ge=0.0, le=2.0, description="How far from the mean latent.")
    steps: int = Field(default=10, gt=0)
    style: str = "plain"
    mode: Annotated[Literal["fast", "fine"], Static()] = "fast"
    mirror: Annotated[bool, Static] = False

    @model_validator(mode="after")
    def _fast_is_short(self):
        if self.mode == "fast" and self.steps > 100:
            raise ValueError("fast has at most 100 steps")
        return self


def parse(**values):
    return parse_options(ShoeOptions, values, LABELS)


def test_options_that_are_not_given_have_their_defaults():
    assert parse() == ShoeOptions()


def test_options_are_taken_by_name():
    options = parse(truncation_psi=0.5, steps=3, style="bold", mode="fine", mirror=True)
    assert options.model_dump() == {
        "label": ANY_LABEL,
        "truncation_psi": 0.5,
        "steps": 3,
        "style": "bold",
        "mode": "fine",
        "mirror": True,
    }


def test_a_whole_number_is_taken_where_a_float_is_wanted():
    assert parse(truncation_psi=2).truncation_psi == 2.0


@pytest.mark.parametrize(("given", "number"), [("boot", 0), ("sneaker", 2), (1, 1), (ANY_LABEL, ANY_LABEL)])
def test_a_label_is_given_by_name_or_by_number_and_the_model_gets_the_number(given, number):
    assert parse(label=given).label == number


def test_an_unknown_option_is_refused_and_the_nearest_is_suggested():
    with pytest.raises(InvalidRequest, match=r"no option 'trunc_psi'\. Did you mean 'truncation_psi'\?") as refusal:
        parse(trunc_psi=1.0)
    assert refusal.value.field == "options.trunc_psi"


def test_an_unknown_label_is_refused_and_the_nearest_is_suggested():
    with pytest.raises(InvalidRequest, match=r"'sneeker' is not a label of this model\. Did you mean 'sneaker'\?"):
        parse(label="sneeker")


@pytest.mark.parametrize("number", [3, -2])
def test_a_label_beyond_the_last_is_out_of_range(number):
    with pytest.raises(OutOfRange, match=f"{number} is not a label of this model: they go from 0 to 2") as refusal:
        parse(label=number)
    assert refusal.value.field == "options.label"


@pytest.mark.parametrize(("name", "value"), [("truncation_psi", 2.1), ("truncation_psi", -0.1), ("steps", 0)])
def test_a_number_outside_its_bounds_is_out_of_range(name, value):
    with pytest.raises(OutOfRange, match=f"`options.{name}`") as refusal:
        parse(**{name: value})
    assert refusal.value.field == f"options.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("truncation_psi", "1"),
        ("truncation_psi", float("nan")),
        ("truncation_psi", float("inf")),
        ("steps", 1.0),
        ("steps", True),
        ("steps", "3"),
        ("style", 3),
        ("mode", "slow"),
        ("mirror", 1),
        ("label", True),
        ("label", 1.0),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_converted(name, value):
    with pytest.raises(InvalidRequest, match=f"`options.{name}`") as refusal:
        parse(**{name: value})
    assert type(refusal.value) is InvalidRequest
    assert refusal.value.field == f"options.{name}"


def test_a_rule_over_several_options_is_told_of_all_of_them():
    with pytest.raises(InvalidRequest, match="`options`: fast has at most 100 steps") as refusal:
        parse(steps=101)
    assert refusal.value.field == "options"


def test_options_cannot_be_changed():
    with pytest.raises(ValidationError):
        parse().steps = 4


def test_static_options_are_told_from_those_of_each_row():
    assert static_names(ShoeOptions) == ("mode", "mirror")


def test_all_values_of_a_static_option_are_known():
    assert static_values(ShoeOptions, "mode") == ("fast", "fine")
    assert static_values(ShoeOptions, "mirror") == (False, True)


def test_a_static_option_with_endless_values_is_refused():
    class Endless(Options):
        width: Annotated[int, Static()] = 3

    with pytest.raises(PluginError, match="'width' must be a bool or a Literal"):
        static_values(Endless, "width")


def test_the_schema_says_that_a_label_is_a_number_or_a_name():
    label = ShoeOptions.model_json_schema()["properties"]["label"]
    assert label["anyOf"] == [{"type": "integer", "minimum": ANY_LABEL}, {"type": "string"}]
    assert label["default"] == ANY_LABEL
