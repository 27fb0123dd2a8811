"""A plugin for `stream_bytes`: a model that costs nothing, so that what is measured is the way of its samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genservice import Generator, TensorSpec, hookimpl

ROW_FLOATS = 16384


class Constant(Generator):
    """Each sample is one random number, again and again: one draw and one copy for 64 KiB."""

    family = "bench-constant"
    traced = False
    event = TensorSpec((ROW_FLOATS,))

    def load(self, directory: Path) -> None:
        """Has nothing to read."""

    def sample(self, noise: Any, options: Any, conditions: Mapping[str, Any]) -> Any:
        """Gives float32 `[batch, ROW_FLOATS]`."""
        return np.broadcast_to(noise.uniform("x")[:, None], (noise.rows, ROW_FLOATS)).copy()


@hookimpl
def genservice_register_families() -> list[type]:
    """The family."""
    return [Constant]
