"""`labels.toml`: names that move from version to version, such as `stable = 3`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

import tomli_w

from genservice.errors import StoreError
from genservice.store.files import PARTIAL, sync
from genservice.store.names import is_safe

FILE = "labels.toml"


def read_labels(folder: Path) -> dict[str, int]:
    """Reads the labels of a model.

    Args:
        folder: The model's folder.

    Returns:
        Numbers of versions by label; empty where there is no file.

    Raises:
        StoreError: The file is damaged.
    """
    path = folder / FILE
    try:
        labels = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise StoreError(f"{path} cannot be read: {fault}") from fault
    for label, version in labels.items():
        if not is_safe(label) or type(version) is not int or version < 1:
            raise StoreError(f"{path}: {label!r} is not a label with the number of a version, such as `stable = 3`.")
    return labels


def write_labels(folder: Path, labels: Mapping[str, int]) -> None:
    """Replaces the labels of a model at once: a reader finds the old ones or the new ones.

    Args:
        folder: The model's folder.
        labels: Numbers of versions by label.
    """
    draft = folder / f".{FILE}.{token_hex(8)}{PARTIAL}"
    draft.write_text(tomli_w.dumps(dict(sorted(labels.items()))))
    sync(draft)
    draft.replace(folder / FILE)
    sync(folder)
