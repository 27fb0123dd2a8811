"""What a family gets to train with, and what it trains on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from genservice.errors import SettingsError, suggestion

Recipe = TypeVar("Recipe")

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with steps done, steps in all, and figures to show, such as `{"loss": 0.3}`."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Real data, split once and for all into what is trained on and what is held out.

    Args:
        name: Name of the source, such as `fashion-mnist`.
        train_inputs: `[rows, ...]`; of text, an object array of str, one a work; of sequences, an object array of
            `[positions, ...]` arrays or of lists of str.
        train_labels: int64 `[rows]`; of sequences, an object array of int64 `[positions]`; empty where the data has
            none.
        test_inputs: Likewise, never trained on.
        test_labels: Likewise.
        labels: Name of each class; none where the data has no labels.
        licence: SPDX name of the data's licence.
        citation: Who made the data, and where it is described.
    """

    name: str
    train_inputs: NDArray[Any]
    train_labels: NDArray[Any]
    test_inputs: NDArray[Any]
    test_labels: NDArray[Any]
    labels: Sequence[str]
    licence: str
    citation: str


@dataclass(frozen=True, slots=True, eq=False)
class FitRun:
    """One training of a family.

    Args:
        directory: Empty folder; the family writes the files of the version into it.
        checkpoints: Folder that outlives a cut training; the family may resume from what it finds there.
        data: What to train on.
        seed: Seed of everything random in the training.
        settings: The family's own settings of training, by name, such as `{"steps": 20000}`.
        progress: To be called as the training goes on.
    """

    directory: Path
    checkpoints: Path
    data: DataSet
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = lambda done, total, figures: None

    def recipe(self, kind: type[Recipe]) -> Recipe:
        """Makes a family's hyperparameters from the settings.

        Args:
            kind: A dataclass whose fields have defaults.

        Raises:
            SettingsError: A setting is not a field of it.
        """
        known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        for name in self.settings:
            if name not in known:
                raise SettingsError(f"The training has no setting {name!r}.{suggestion(name, known)}")
        return kind(**self.settings)
