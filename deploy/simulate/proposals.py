"""How many replicas a metric asks for, as `pkg/controller/podautoscaler/replica_calculator.go` of Kubernetes has it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.1
"""Part by which a metric may be off its target before anything changes (`--horizontal-pod-autoscaler-tolerance`)."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a metric may be off.

    Args:
        up: Above the target, as a part of it.
        down: Below it.
    """

    up: float = TOLERANCE
    down: float = TOLERANCE

    def allows(self, ratio: float) -> bool:
        """Whether a ratio of metric and target changes nothing."""
        return 1 - self.down <= ratio <= 1 + self.up


@dataclass(frozen=True, slots=True)
class Readings:
    """A metric of the type Pods.

    Args:
        values: One a pod that has the metric.
        missing: Pods that run and have none.
        pending: Pods that do not run yet.
    """

    values: Sequence[float]
    missing: int = 0
    pending: int = 0


def by_pods(readings: Readings, target: float, current: int, tolerance: Tolerance = Tolerance()) -> int | None:
    """Replicas that a metric of the type Pods asks for (`calcPlainMetricReplicas`).

    Args:
        readings: What the pods tell.
        target: `averageValue`.
        current: Replicas that are asked for now.
        tolerance: What changes nothing.

    Returns:
        Replicas; None where no pod tells anything, so that the metric has no say.
    """
    values = list(readings.values)
    if not values:
        return None
    ratio = sum(values) / len(values) / target
    up_with_pending = readings.pending > 0 and ratio > 1
    if not up_with_pending and not readings.missing:
        return current if tolerance.allows(ratio) else math.ceil(ratio * len(values))
    # Who tells nothing is taken for idle where it would go up, and for just right where it would go down.
    values += [target if ratio < 1 else 0.0] * readings.missing
    values += [0.0] * (readings.pending if up_with_pending else 0)
    cautious = sum(values) / len(values) / target
    if tolerance.allows(cautious) or (ratio - 1) * (cautious - 1) < 0:
        return current
    replicas = math.ceil(cautious * len(values))
    return current if (cautious < 1 and replicas > current) or (cautious > 1 and replicas < current) else replicas


def by_sum(total: float, target: float, current: int, tolerance: Tolerance = Tolerance()) -> int:
    """Replicas that a metric of the type External with an `averageValue` asks for (`GetExternalPerPodMetricReplicas`).

    That is what KEDA makes of a trigger.

    Args:
        total: The metric over all replicas.
        target: `averageValue`, KEDA's `threshold`.
        current: Replicas that there are, at least 1.
        tolerance: What changes nothing.
    """
    return current if tolerance.allows(total / (target * current)) else math.ceil(total / target)


def largest(proposals: Sequence[int | None], current: int) -> int | None:
    """The largest of the proposals of all metrics; None where nothing is to change (`computeReplicasForMetrics`).

    Args:
        proposals: One a metric; None for one that could not be read.
        current: Replicas that are asked for now.
    """
    known = [proposal for proposal in proposals if proposal is not None]
    if not known:
        return None
    most = max(known)
    return None if len(known) < len(proposals) and most < current else most
