"""Whether samples differ from each other as real data does: in what the data is made of, and not in noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 32
LEAST_SPREAD = 0.3
LEAST_STRUCTURE = 0.3


@dataclass(frozen=True, slots=True)
class Diversity:
    """How samples of one condition differ, relative to real data of the same condition.

    Args:
        spread: Mean distance between two samples in the data's principal components, over the same of the data.
        structure: Share of the samples' variance that lies in those components, over the same of the data. Noise has
            its variance everywhere, however strong it is.
    """

    spread: float
    structure: float

    @property
    def passes(self) -> bool:
        """Whether both are at least 0.3."""
        return self.spread >= LEAST_SPREAD and self.structure >= LEAST_STRUCTURE


def measure_diversity(samples: NDArray[np.floating], data: NDArray[np.floating]) -> Diversity:
    """Measures the diversity of samples against real data of one condition.

    Args:
        samples: `[rows, ...]`.
        data: `[other_rows, ...]`, at least 64 rows.

    Returns:
        The ratios; a constant has 0 for both.
    """
    rows, real = (array.reshape(len(array), -1).astype(np.float64) for array in (samples, data))
    _, _, directions = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)
    # At most a tenth of the dimensions, or noise would lie in the components too.
    components = directions[: max(1, min(COMPONENTS, real.shape[1] // 10))]
    spread, share = _spread_and_share(rows, components)
    real_spread, real_share = _spread_and_share(real, components)
    return Diversity(spread=spread / real_spread, structure=share / real_share)


def _spread_and_share(rows: NDArray[np.float64], components: NDArray[np.float64]) -> tuple[float, float]:
    features = rows @ components.T
    half = len(features) // 2
    spread = float(np.linalg.norm(features[:half] - features[half : 2 * half], axis=1).mean())
    total = float(rows.var(axis=0).sum())
    return spread, float(features.var(axis=0).sum()) / total if total > 0 else 0.0
