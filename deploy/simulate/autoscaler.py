"""`behavior`, as `pkg/controller/podautoscaler/horizontal.go` of Kubernetes has it: windows, policies, bounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.simulate.proposals import TOLERANCE, Tolerance


class Select(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Kind(StrEnum):
    """What a policy counts in."""

    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True, slots=True)
class Policy:
    """How much may change in a time.

    Args:
        kind: What `value` counts.
        value: Pods, or per cent of the replicas at the beginning of the period.
        period_s: The time in seconds.
    """

    kind: Kind
    value: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of `behavior`.

    Args:
        window_s: `stabilizationWindowSeconds`.
        policies: Policies.
        select: Which of them counts.
        tolerance: What changes nothing.
    """

    window_s: int
    policies: Sequence[Policy]
    select: Select = Select.MAX
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True)
class Behavior:
    """Both directions; by default those of Kubernetes.

    Args:
        up: When more replicas are asked for.
        down: When fewer are.
    """

    up: Rules = Rules(0, (Policy(Kind.PODS, 4, 15), Policy(Kind.PERCENT, 100, 15)))
    down: Rules = Rules(300, (Policy(Kind.PERCENT, 100, 15),))

    @property
    def tolerance(self) -> Tolerance:
        """What changes nothing, in both directions."""
        return Tolerance(self.up.tolerance, self.down.tolerance)


@dataclass(frozen=True, slots=True)
class _Change:
    at_s: float
    replicas: int


@dataclass(slots=True, eq=False)
class Autoscaler:
    """Turns what metrics ask for, sync by sync, into what is asked of the Deployment.

    Args:
        least: `minReplicas`.
        most: `maxReplicas`.
        behavior: How quickly.
    """

    least: int
    most: int
    behavior: Behavior = field(default_factory=Behavior)
    _recommended: list[_Change] = field(default_factory=list)
    _added: list[_Change] = field(default_factory=list)
    _removed: list[_Change] = field(default_factory=list)

    def sync(self, now_s: float, current: int, proposal: int | None) -> int:
        """Decides.

        Args:
            now_s: Seconds on a clock.
            current: Replicas that are asked for now; 0 is none of its business.
            proposal: What the metrics ask for; None: nothing could be read.

        Returns:
            Replicas to ask for.
        """
        if current == 0:
            return 0
        if not self._recommended:
            self._recommended.append(_Change(now_s, current))
        if not self.least <= current <= self.most:
            # Not the metrics but the bounds decide, at once.
            wanted = min(max(current, self.least), self.most)
        elif proposal is None:
            return current
        else:
            wanted = self._bounded(now_s, current, self._stabilized(now_s, current, proposal))
        if wanted > current:
            self._added.append(_Change(now_s, wanted - current))
        elif wanted < current:
            self._removed.append(_Change(now_s, current - wanted))
        return wanted

    def _stabilized(self, now_s: float, current: int, proposal: int) -> int:
        """Within the least of the upward window and the most of the downward one, else what there is."""
        up, down = self.behavior.up.window_s, self.behavior.down.window_s
        least = min([proposal, *(past.replicas for past in self._recommended if past.at_s > now_s - up)])
        most = max([proposal, *(past.replicas for past in self._recommended if past.at_s > now_s - down)])
        kept = [past for past in self._recommended if past.at_s > now_s - max(up, down)]
        self._recommended = [*kept, _Change(now_s, proposal)]
        return min(max(current, least), most)

    def _bounded(self, now_s: float, current: int, wanted: int) -> int:
        if wanted > current:
            limit = self._limit(now_s, current, self.behavior.up, up=True)
            return min(wanted, self.most, max(limit, current))
        if wanted < current:
            limit = self._limit(now_s, current, self.behavior.down, up=False)
            return max(wanted, self.least, min(limit, current))
        return wanted

    def _limit(self, now_s: float, current: int, rules: Rules, *, up: bool) -> int:
        """The furthest that the policies let it go."""
        if rules.select is Select.DISABLED:
            return current
        limits = []
        for policy in rules.policies:
            since = now_s - policy.period_s
            added = sum(change.replicas for change in self._added if change.at_s > since)
            removed = sum(change.replicas for change in self._removed if change.at_s > since)
            start = current - added + removed
            if policy.kind is Kind.PODS:
                limits.append(start + policy.value if up else start - policy.value)
            # With Kubernetes's own order of operations: 10 % of 50 replicas are 6 more, for 50 * 1.1 is above 55.
            elif up:
                limits.append(math.ceil(start * (1 + policy.value / 100)))
            else:
                limits.append(math.trunc(start * (1 - policy.value / 100)))
        furthest = (rules.select is Select.MAX) == up
        return max(limits) if furthest else min(limits)
