"""What one replica can do, and what an autoscaler should hold it to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genservice.cli.failures import Failure
from genservice.cli.load import Step, Target

FIRST_PART = 0.3
"""The first load that is offered, as a part of what batches of one request's rows gave without a pause."""
GROWTH = 1.15
"""How much greater each load is than the one before."""
MOST_STEPS = 20
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure.

    Args:
        rows: Rows of a request.
        seconds: Seconds of a step.
        queue_limit_s: Longest 99th percentile of the time in the queue that is still good.
        utilisation: Part of the capacity that a replica should be used to.
        seed: Of when requests come.
    """

    rows: int = 16
    seconds: float = 10.0
    queue_limit_s: float = 0.25
    utilisation: float = 0.7
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was measured.

    Args:
        model: Full name of the version.
        content_hash: Its content.
        verb: What was asked.
        numerics: What it ran on.
        plan: How it was measured.
        batches: By size: rows a second of batches without a pause.
        steps: Loads that were offered, ascending.
        stopped_by: Why no greater load was offered.
        rows_per_second: The greatest load that was borne.
        at_target: What a load of `utilisation` of that did.
    """

    model: str
    content_hash: str
    verb: str
    numerics: str
    plan: Plan
    batches: Mapping[int, float]
    steps: Sequence[Step]
    stopped_by: str
    rows_per_second: float
    at_target: Step

    @property
    def target_rows(self) -> int:
        """Rows queued and running that an autoscaler should hold a replica to."""
        return max(1, round(self.at_target.rows_in_system))

    @property
    def most_rows(self) -> float:
        """Rows queued above which the wait passes its limit."""
        return self.rows_per_second * self.plan.queue_limit_s

    def arithmetic(self) -> list[str]:
        """How the targets come about, for people."""
        plan, at = self.plan, self.at_target
        lines = [
            f"capacity: {self.rows_per_second:.0f} rows/s, the greatest load whose p99 in the queue stayed within "
            f"{plan.queue_limit_s:g} s; a greater one was stopped by: {self.stopped_by}",
            f"target: at {plan.utilisation:g} x {self.rows_per_second:.0f} = {at.offered_rows_per_second:.0f} rows/s, "
            f"{at.rows_in_system:.1f} rows were queued or running on average, so {self.target_rows} a replica; "
            f"by Little's law a row spent {at.rows_in_system / at.offered_rows_per_second:.3f} s in the replica",
            f"bound: {self.rows_per_second:.0f} rows/s x {plan.queue_limit_s:g} s = {self.most_rows:.0f} rows in the "
            f"queue are the limit itself: the target has to stay well below",
        ]
        if self.target_rows > self.most_rows:
            lines.append("the target is above the bound: raise --queue-limit-s, or lower --utilisation")
        return lines

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        at = self.at_target
        return {
            "model": self.model,
            "content_hash": self.content_hash,
            "verb": self.verb,
            "numerics": self.numerics,
            "plan": asdict(self.plan),
            "batches": [{"rows": rows, "rows_per_second": round(rate, 1)} for rows, rate in self.batches.items()],
            "steps": [_rounded(step) for step in self.steps],
            "stopped_by": self.stopped_by,
            "capacity_rows_per_second": round(self.rows_per_second, 1),
            "target": {
                **_rounded(at),
                "seconds_in_system": round(at.rows_in_system / at.offered_rows_per_second, 4),
                "keda_threshold": str(self.target_rows),
                "hpa_average_value": str(self.target_rows),
            },
            "arithmetic": self.arithmetic(),
        }


async def measure(target: Target, plan: Plan, tell: Callable[[str], object]) -> Capacity:
    """Measures a version on a replica that does nothing else.

    Args:
        target: The version.
        plan: How.
        tell: Is told how it goes.

    Raises:
        Failure: Not even the least load was borne.
    """
    batches = {}
    for size in target.version.batch_sizes:
        batches[size] = await target.closed_loop(size, in_flight=2, seconds=max(plan.seconds / 4, 0.05))
        tell(f"batches of {size}: {batches[size]:.0f} rows/s")
    # Small requests cost more a row than whole batches: those would be too much for a first load.
    alone = batches[next((size for size in batches if size >= plan.rows), max(batches))]
    steps: list[Step] = []
    stopped_by, capacity = "the end of the plan", 0.0
    for number in range(MOST_STEPS):
        # What others do on the machine may spoil a step: one that fails is tried once more.
        for attempt in range(ATTEMPTS):
            rate = alone * FIRST_PART * GROWTH**number
            step = await target.offer(rate, plan.rows, plan.seconds, plan.seed + attempt)
            steps.append(step)
            tell(_line(step))
            fault = _fault(step, plan)
            if not fault:
                break
        if fault:
            stopped_by = fault
            break
        capacity = step.offered_rows_per_second
    if not capacity:
        raise Failure(
            f"{target.version.name} does not bear {steps[0].offered_rows_per_second:.0f} rows/s: {stopped_by}. "
            f"--queue-limit-s and --rows say what is borne."
        )
    at_target = await target.offer(capacity * plan.utilisation, plan.rows, 2 * plan.seconds, plan.seed)
    tell(_line(at_target))
    version = target.version
    return Capacity(
        version.name,
        version.content_hash,
        target.verb,
        version.numerics,
        plan,
        batches,
        steps,
        stopped_by,
        capacity,
        at_target,
    )


def _fault(step: Step, plan: Plan) -> str:
    """Why a load was not borne; empty where it was."""
    if step.refused_rows:
        return f"{step.refused_rows} rows were refused"
    if step.queue_p99_s > plan.queue_limit_s:
        return f"p99 in the queue was {step.queue_p99_s:.3g} s"
    if step.late_s > plan.queue_limit_s:
        return f"the client was too slow, and sent a request {step.late_s:.3g} s late"
    return ""


def _line(step: Step) -> str:
    return (
        f"{step.offered_rows_per_second:.0f} rows/s offered: {step.rows_per_second:.0f} answered, "
        f"{step.refused_rows} rows refused, p99 in the queue {step.queue_p99_s:.3g} s, "
        f"{step.rows_in_system:.1f} rows queued or running"
    )


def _rounded(step: Step) -> dict[str, float | int]:
    return {name: round(value, 4) for name, value in asdict(step).items()}
