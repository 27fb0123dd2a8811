"""Templates become files."""

from collections.abc import Mapping
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from packaging.version import Version

from genservice.errors import StoreError
from genservice.scaffold.kinds import KINDS
from genservice.scaffold.names import PluginName

SHARED = "shared"
SUFFIX = ".tmpl"
MODULE = "MODULE"
"""Stands for the plugin's module in the path of a template."""


def render(name: PluginName, kind: str) -> Mapping[str, str]:
    """Makes the files of a plugin.

    Args:
        name: Its name.
        kind: One of `KINDS`.

    Returns:
        Their contents by path, with `/`.
    """
    templates = files("genservice.scaffold") / "templates"
    values = _values(name, kind)
    return {
        _path(path, name): Template(text).substitute(values)
        for folder in (SHARED, kind)
        for path, text in _texts(templates / folder)
    }


def write(contents: Mapping[str, str], folder: Path) -> None:
    """Writes the files of a plugin, which is new.

    Args:
        contents: What `render` made.
        folder: Is made; must not exist.

    Raises:
        StoreError: It exists, or cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        for path, text in contents.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    except FileExistsError:
        raise StoreError(f"{folder} is there already; nothing in it was changed.") from None
    except OSError as refusal:
        raise StoreError(f"{folder} cannot be written: {refusal.strerror or refusal}.") from refusal


def _values(name: PluginName, kind: str) -> Mapping[str, str]:
    made = KINDS[kind]
    here = Version(metadata.version("genservice"))
    requires = f">={here.major}.{here.minor},<{here.major}.{here.minor + 1}"
    needs = sorted((f"genservice{requires}", "numpy>=1.26", *made.needs))
    return {
        "distribution": name.distribution,
        "module": name.module,
        "family": name.family,
        "class_name": made.class_name,
        "title": made.title,
        "summary": made.summary,
        "limits": made.limits,
        "requires": requires,
        "dependencies": ", ".join(f'"{need}"' for need in needs),
    }


def _texts(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = prefix + entry.name
        if entry.is_dir():
            found += _texts(entry, f"{path}/")
        elif path.endswith(SUFFIX):
            found.append((path.removesuffix(SUFFIX), entry.read_text()))
    return found


def _path(path: str, name: PluginName) -> str:
    return path.replace(MODULE, name.module).replace("gitignore", ".gitignore")
