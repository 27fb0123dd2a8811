"""Names that are safe as paths, and resource names."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Self

from genservice.errors import InvalidName, InvalidRequest

_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_FORMS = "'models/MODEL', 'models/MODEL/versions/NUMBER' or 'models/MODEL/labels/LABEL'"
_RULE = "at most 63 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit, with no '..'"


def is_safe(name: str) -> bool:
    """Whether a model or a label may have this name."""
    return _SAFE.fullmatch(name) is not None and ".." not in name


def check_name(name: str, what: str) -> str:
    """Lets a safe name through.

    Args:
        name: Name of a model or of a label.
        what: What it names, for the error.

    Returns:
        The name.

    Raises:
        InvalidName: It is not safe as a part of a path.
    """
    if not is_safe(name):
        raise InvalidName(f"{name[:80]!r} cannot name a {what}: a name has {_RULE}.")
    return name


def parse_version(text: str) -> int | None:
    """The number of a version, or None where the text is not one as the store writes it."""
    return int(text) if _VERSION.fullmatch(text) else None


def check_file(path: str) -> str:
    """Lets the path of a version's file through.

    Args:
        path: As in a manifest: inside the version's folder, with `/`.

    Returns:
        The path.

    Raises:
        InvalidName: It is absolute, has `.` or `..` or an empty part, or is otherwise not in its plainest form.
    """
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or path.startswith("/") or path != "/".join(parts) or "\0" in path or "\\" in path:
        raise InvalidName(f"{path[:80]!r} cannot be a file of a version: its path is relative and has no '..'.")
    return path


@dataclass(frozen=True, slots=True)
class ModelName:
    """The resource name of a model, or of one version of it, given by number or by label.

    Args:
        model: Name of the model.
        version: Number of the version, if given.
        label: Label of the version, if given.
    """

    model: str
    version: int | None = None
    label: str | None = None

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str, *, field: str = "model") -> Self:
        """Reads a resource name.

        Args:
            text: `models/{model}`, `models/{model}/versions/{n}` or `models/{model}/labels/{label}`.
            field: Path of the request's field, for the error.

        Raises:
            InvalidRequest: It has none of the three forms, or a name in it is not safe.
        """
        match text.split("/"):
            case ["models", model] if is_safe(model):
                return cls(model)
            case ["models", model, "versions", number] if is_safe(model) and (version := parse_version(number)):
                return cls(model, version=version)
            case ["models", model, "labels", label] if is_safe(model) and is_safe(label):
                return cls(model, label=label)
        raise InvalidRequest(f"`{field}` is {_FORMS}, where a name has {_RULE}; got {text[:200]!r}.", field=field)

    def __str__(self) -> str:
        if self.version is not None:
            return f"models/{self.model}/versions/{self.version}"
        if self.label is not None:
            return f"models/{self.model}/labels/{self.label}"
        return f"models/{self.model}"
