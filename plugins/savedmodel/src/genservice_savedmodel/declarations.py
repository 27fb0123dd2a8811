"""What a user declares in the `[config]` of `model.toml`: signatures, options, and what classifies or samples."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from genservice import Options, TensorSpec
from genservice.errors import PluginError, suggestion

Declared = TypeVar("Declared", bound="Declarations")

OPTION_NAME = re.compile(r"[a-z][a-z0-9_]*")
OPTION_DTYPES: Mapping[str, tuple[str, ...]] = {
    "integer": ("int64", "int32"),
    "number": ("float32", "float64"),
    "boolean": ("bool",),
}
"""By type of an option: types that an input may have which is filled by it."""


class _Frozen(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class Tensor(_Frozen):
    """An input or an output; the row dimension is left out."""

    shape: tuple[int, ...]
    """Extent of each dimension; -1 where it varies."""
    dtype: str = "float32"
    """One of the types of `TensorSpec`."""
    minimum: float | None = None
    """Smallest value of an element; both bounds or none."""
    maximum: float | None = None
    """Greatest value of an element."""
    description: str = ""
    """What the elements mean."""

    @property
    def spec(self) -> TensorSpec:
        """The same for the engine."""
        return TensorSpec(**dict(self))


class Function(_Frozen):
    """A signature."""

    inputs: Mapping[str, Tensor] = Field(min_length=1)
    """All inputs of the graph's signature, by name."""
    outputs: Mapping[str, Tensor] = Field(min_length=1)
    """Those outputs that are served, by name."""


class Option(_Frozen):
    """An option of a request; the input of the same name gets it, one value a row."""

    type: Literal["integer", "number", "boolean"]
    """Type of its values."""
    default: bool | int | float
    """Its value where a request gives none."""
    minimum: float | None = None
    """Smallest value."""
    maximum: float | None = None
    """Greatest value."""
    description: str = Field(min_length=1)
    """What it does."""


class Classification(_Frozen):
    """Which signature classifies."""

    labels: tuple[str, ...] = Field(min_length=2)
    """Names of the classes, in the order of the output."""
    input: str
    """Input that gets the rows."""
    output: str
    """Output that tells the classes: one number a class, or for two classes one number for the second of them."""
    gives: Literal["logits", "probabilities"]
    """What the output holds."""
    signature: str = ""
    """Name of the signature; the default one where absent."""


class NoiseInput(_Frozen):
    """An input that gets random numbers, in the shape that the signature declares."""

    distribution: Literal["normal", "uniform"]
    """Standard normal; or uniform between the input's bounds, or between 0 and 1 where it has none."""


class Generation(_Frozen):
    """Which signature draws."""

    output: str
    """Output that holds the samples."""
    noise: Mapping[str, NoiseInput] = Field(min_length=1)
    """Inputs that get random numbers. What is neither one of these nor an option is a condition."""
    signature: str = ""
    """Name of the signature; the default one where absent."""


class Declarations(_Frozen):
    """The config of the family `savedmodel`."""

    takes_strings: ClassVar[bool] = False
    """Whether an input may be of strings: `classify` and `sample` take them, `predict` takes tensors of numbers."""

    path: str
    """Name of the SavedModel's folder or of the `.keras` file, inside of the version's folder."""
    signatures: Mapping[str, Function] = Field(min_length=1)
    """By name; a `.keras` file has one, whose name is free."""
    default_signature: str = ""
    """The one that a request means which names none; where absent `serving_default`, or the only one."""
    options: Mapping[str, Option] = Field(default_factory=dict)
    """By name."""
    tolerance: float = Field(default=1e-5, gt=0)
    """Greatest difference between two results of one row in batches of different sizes."""

    @classmethod
    def parse(cls: type[Declared], config: Mapping[str, Any]) -> Declared:
        """Reads a version's config.

        Raises:
            PluginError: Something is missing, not known, or does not fit the rest; the message names it.
        """
        try:
            declared = cls.model_validate(config)
        except pydantic.ValidationError as invalid:
            first = invalid.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise PluginError(f"The config's `{place}`: {first['msg']}.") from None
        declared.check()
        return declared

    @property
    def default(self) -> str:
        """Name of the default signature."""
        names = list(self.signatures)
        return self.default_signature or ("serving_default" if "serving_default" in names else names[0])

    def signature(self, name: str) -> Function:
        """A signature by name; the default one for an empty name.

        Raises:
            PluginError: It is not declared.
        """
        name = name or self.default
        if name not in self.signatures:
            raise PluginError(f"The config declares no signature {name!r}.{suggestion(name, self.signatures)}")
        return self.signatures[name]

    def check(self) -> None:
        """Checks what no single declaration can say.

        Raises:
            PluginError: The message names what does not fit.
        """
        if self.path in ("", ".", "..") or "/" in self.path or "\\" in self.path:
            raise PluginError(f"The config's `path` is a name within the version's folder; got {self.path!r}.")
        if not self.default_signature and len(self.signatures) > 1 and "serving_default" not in self.signatures:
            raise PluginError("The config has several signatures: `default_signature` names one of them.")
        self.signature(self.default_signature)
        for name, signature in self.signatures.items():
            if not self.requested(signature):
                raise PluginError(f"The signature {name!r} takes options alone: it needs an input with rows.")
            self._check_strings(name, signature)
        for name, option in self.options.items():
            self._check_option(name, option)

    def requested(self, signature: Function) -> Mapping[str, TensorSpec]:
        """The inputs of a signature that are no options, by name."""
        return {name: tensor.spec for name, tensor in signature.inputs.items() if name not in self.options}

    def options_class(self) -> type[Options]:
        """Makes the class of the options.

        Raises:
            PluginError: A default has another type than its option, or lies outside its range.
        """
        kinds: Mapping[str, type[Any]] = {"integer": int, "number": float, "boolean": bool}
        fields: dict[str, Any] = {}
        for name, option in self.options.items():
            kind = kinds[option.type]
            # TOML writes 1.0 as 1 where people do; 1 is no boolean, and true no number.
            default: Any = float(option.default) if kind is float and type(option.default) is int else option.default
            bounds: dict[str, Any] = {
                key: value for key, value in (("ge", option.minimum), ("le", option.maximum)) if value is not None
            }
            if kind is int:
                bounds = {key: int(value) for key, value in bounds.items()}
            fields[name] = (kind, Field(default, description=option.description, **bounds))
        made = pydantic.create_model("SavedModelOptions", __base__=Options, **fields)
        for name, field in made.model_fields.items():
            try:
                made.model_validate({name: field.default})
            except pydantic.ValidationError as invalid:
                raise PluginError(f"The default of the option {name!r}: {invalid.errors()[0]['msg']}.") from None
        return made

    def _check_strings(self, name: str, signature: Function) -> None:
        for output, tensor in signature.outputs.items():
            if tensor.dtype == "string":
                raise PluginError(
                    f"The output {output!r} of {name!r} is of strings, which no answer has: leave it out."
                )
        for field, tensor in signature.inputs.items():
            if tensor.dtype == "string" and (tensor.shape or not self.takes_strings):
                raise PluginError(
                    f"The input {field!r} of {name!r} is of strings: it has the shape [], and a family that classifies "
                    "or draws; `predict` takes numbers."
                )

    def _check_option(self, name: str, option: Option) -> None:
        if not OPTION_NAME.fullmatch(name) or name.startswith("model_"):
            raise PluginError(f"{name!r} cannot name an option: a name is of a-z, 0-9 and '_', as in 'step_count'.")
        if option.type == "boolean" and (option.minimum, option.maximum) != (None, None):
            raise PluginError(f"The option {name!r} is a boolean and has no bounds.")
        inputs = [signature.inputs[name] for signature in self.signatures.values() if name in signature.inputs]
        if not inputs:
            raise PluginError(f"The option {name!r} is an input of no signature, so nothing would get it.")
        for tensor in inputs:
            if tensor.shape or tensor.dtype not in OPTION_DTYPES[option.type]:
                types = " or ".join(OPTION_DTYPES[option.type])
                raise PluginError(
                    f"The option {name!r} is of type {option.type}, one value a row: its input has the shape [] and "
                    f"the type {types}; the config declares {list(tensor.shape)} and {tensor.dtype}."
                )


class ClassifierDeclarations(Declarations):
    """The config of the family `savedmodel-classifier`."""

    takes_strings: ClassVar[bool] = True

    classify: Classification
    """Which signature classifies."""

    def check(self) -> None:
        """Checks the signature that classifies too."""
        super().check()
        chosen = self.classify
        signature = self.signature(chosen.signature)
        if set(self.requested(signature)) != {chosen.input}:
            raise PluginError(
                f"The signature that classifies takes one input that is no option, {chosen.input!r}; the config "
                f"declares {', '.join(map(repr, self.requested(signature)))}."
            )
        shape = output_of(signature, chosen.output).shape
        one = len(chosen.labels) == 2 and shape in ((), (1,))
        if shape != (len(chosen.labels),) and not one:
            raise PluginError(
                f"The output {chosen.output!r} has the shape {list(shape)} a row, and there are {len(chosen.labels)} "
                "labels: it holds one number a label, or for two labels one for the second of them."
            )


class GeneratorDeclarations(Declarations):
    """The config of the family `savedmodel-generator`."""

    takes_strings: ClassVar[bool] = True

    sample: Generation
    """Which signature draws."""

    def check(self) -> None:
        """Checks the signature that draws too."""
        super().check()
        signature = self.signature(self.sample.signature)
        output_of(signature, self.sample.output)
        requested = self.requested(signature)
        for name in self.sample.noise:
            if name not in requested:
                raise PluginError(f"The signature that draws has no input {name!r}.{suggestion(name, requested)}")
            spec = requested[name]
            if -1 in spec.shape or spec.dtype not in ("float32", "float64"):
                raise PluginError(
                    f"The input {name!r} gets random numbers: its type is float32 or float64 and its shape is fixed; "
                    f"the config declares {spec.dtype} and {list(spec.shape)}."
                )


def output_of(signature: Function, name: str) -> Tensor:
    """An output of a signature.

    Raises:
        PluginError: It is not declared.
    """
    if name not in signature.outputs:
        raise PluginError(f"The config declares no output {name!r}.{suggestion(name, signature.outputs)}")
    return signature.outputs[name]
