"""Where data and the checkpoints of trainings are kept: outside of the repository and of every model store."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder: `$GENSERVICE_DATA`, else `genservice` in the user's cache folder. It need not exist."""
    if folder := os.environ.get("GENSERVICE_DATA"):
        return Path(folder)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "genservice"
