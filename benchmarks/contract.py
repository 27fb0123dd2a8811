"""What was promised: every figure, and how great or small it should be."""

from dataclasses import dataclass
from enum import StrEnum


class Better(StrEnum):
    """Which way a figure should go."""

    GREATER = "greater"
    SMALLER = "smaller"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure as it was promised.

    Args:
        name: Its name.
        better: Which way it should go.
        target: What it should reach; None: nothing was promised, the figure explains another.
    """

    name: str
    better: Better
    target: float | None

    def met(self, value: float) -> bool | None:
        """Whether a value is as promised; None where nothing was."""
        if self.target is None:
            return None
        return value >= self.target if self.better is Better.GREATER else value <= self.target


def _goals(better: Better, targets: dict[str, float | None]) -> dict[str, Goal]:
    return {name: Goal(name, better, target) for name, target in targets.items()}


GOALS = _goals(
    Better.GREATER,
    {
        "sample_efficiency": 0.85,
        "continuous_batching_throughput": 1.2,
        "continuous_batching_throughput_shrinking": None,
        "unary_vs_floor_inline": 0.5,
        "unary_vs_floor_process": 0.45,
        "unary_vs_triton_inline": 1.5,
        "unary_vs_triton_process": 1.4,
        "unary_vs_mlserver_process": 2.3,
        "stream_bytes": 0.8,
        "stream_bytes_same_client": None,
        "process_worker_cost": 0.95,
    },
) | _goals(
    Better.SMALLER,
    {
        "continuous_batching_latency": 0.6,
        "unary_latency_vs_triton_process": 0.4,
        "queue_scaling": 1.2,
        "memory_growth": 1.02,
        "autoregressive_cache": 0.15,
        "idle_latency": 3.0,
        "idle_latency_tf_function": None,
    },
)
"""By name."""
