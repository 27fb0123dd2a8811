"""All settings, as one tree, and where they come from: flags, the environment, a file, defaults; the first wins."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pydantic_settings
from pydantic import BaseModel, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from genservice.engine.settings import EngineSettings
from genservice.errors import SettingsError, suggestion
from genservice.server.settings import ServerSettings

PREFIX = "GENSERVICE_"
DELIMITER = "__"

Tree = dict[str, Any]
Place = tuple[str | int, ...]


class Settings(BaseSettings):
    """What `genservice serve` runs with."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    store: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders of models; the first has its way where two have the same model. Empty: what ships with the plugins.
    In the environment: paths with `:` between them."""
    server: ServerSettings = ServerSettings()
    """Where the server listens, and what it allows."""
    engine: EngineSettings = EngineSettings()
    """What the engine holds, and how it runs models."""

    @field_validator("store", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value


def read_settings(flags: Tree, file: Path | None = None) -> Settings:
    """Reads the settings from all places.

    Args:
        flags: The settings given as flags, as a tree.
        file: A TOML file.

    Raises:
        SettingsError: A setting is wrong, or not known; the message names it, and says what would be right.
    """
    content = _read_file(file) if file is not None else {}

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, content)

    try:
        _check_environment()
        return Sourced(**flags)
    except pydantic_settings.SettingsError as fault:
        raise SettingsError(_not_json(fault)) from fault
    except ValidationError as invalid:
        raise SettingsError(_message(invalid, flags, file, content)) from None


def nested_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model that a field holds, also where the field may be None.

    Args:
        model: Has the field.
        name: Name of the field.
    """
    annotation: Any = model.model_fields[name].annotation
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _read_file(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text())
    except OSError as fault:
        raise SettingsError(f"The file of settings {file} cannot be read: {fault.strerror}.") from fault
    except ValueError as fault:
        raise SettingsError(f"The file of settings {file} is not TOML: {fault}.") from fault


def _check_environment() -> None:
    """Refuses mistyped variables. Kubernetes sets others, such as GENSERVICE_PORT for a service of that name."""
    for variable in os.environ:
        first, delimiter, _ = variable.removeprefix(PREFIX).lower().partition(DELIMITER)
        if variable.startswith(PREFIX) and delimiter and first not in Settings.model_fields:
            raise SettingsError(
                f"There is no setting {first!r} ({variable}).{suggestion(first, Settings.model_fields)}"
            )


def _not_json(fault: pydantic_settings.SettingsError) -> str:
    """Names the variable, where pydantic names the outermost field alone."""
    value = getattr(fault.__cause__, "doc", None)
    variable = next(
        (name for name in os.environ if name.startswith(PREFIX) and os.environ[name] == value), "a variable"
    )
    return f"The setting in {variable} is JSON, such as '[\"fashion-gan\"]'; got {value!r:.80}."


def _message(invalid: ValidationError, flags: Tree, file: Path | None, content: Tree) -> str:
    # A mistyped key shows as one that is missing, too.
    fault = min(invalid.errors(), key=lambda error: error["type"] != "extra_forbidden")
    place = fault["loc"]
    name = ".".join(map(str, place))
    variable = PREFIX + DELIMITER.join(str(part).upper() for part in place)
    environment = EnvSettingsSource(Settings)()
    origin = next(
        (
            origin
            for origin, tree in (("", flags), (f" ({variable})", environment), (f" ({file})", content))
            if _holds(tree, place)
        ),
        "",
    )
    if fault["type"] == "extra_forbidden":
        return f"There is no setting {name!r}{origin}.{suggestion(str(place[-1]), _siblings(place))}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"The setting {name}{origin}: {message}; got {fault['input']!r:.80}."


def _holds(tree: object, place: Place) -> bool:
    for part in place:
        if not isinstance(tree, Mapping) or part not in tree:
            return isinstance(part, int)
        tree = tree[part]
    return True


def _siblings(place: Place) -> list[str]:
    model: type[BaseModel] = Settings
    for part in place[:-1]:
        model = nested_model(model, str(part)) or model
    return list(model.model_fields)
