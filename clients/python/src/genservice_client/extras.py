"""Packages that only some users need."""

import importlib
from typing import Any


def require(module: str, *, extra: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: Its name.
        extra: The extra of this distribution that brings it.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is not installed; run: pip install 'genservice-client[{extra}]'") from error
