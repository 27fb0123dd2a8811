"""An autoscaler, its fleet and a load, second by second."""

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from deploy.simulate.autoscaler import Autoscaler
from deploy.simulate.fleet import Fleet, Replica, Told
from deploy.simulate.manifests import Fallback, Keda, Scaling
from deploy.simulate.proposals import by_pods, by_sum, largest
from deploy.simulate.traces import Trace

SYNC_S = 15
"""Seconds between two decisions (`--horizontal-pod-autoscaler-sync-period`)."""
METRIC_AGE_S = 15
"""Seconds that a metric is old when it is read: it is scraped every 15 s, and a rule makes another of it."""
NO_METRICS = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of it.

    Args:
        trace: The load.
        peak_replicas: Most replicas asked for.
        changes: How often that number changed.
        refused_rows: Rows that were refused.
        refused_part: The same as a part of all.
        queue_p99_s: Seconds that 99 of 100 rows waited at the most.
        replica_hours: Hours of replicas, starting and draining ones counted.
        load: The load at each second.
        ready: Replicas that served at each second.
        wanted: Replicas asked for at each second.
        waits_s: How long the next row had waited at each second.
    """

    trace: Trace
    peak_replicas: int
    changes: int
    refused_rows: float
    refused_part: float
    queue_p99_s: float
    replica_hours: float
    load: list[float] = field(repr=False)
    ready: list[int] = field(repr=False)
    wanted: list[int] = field(repr=False)
    waits_s: list[float] = field(repr=False)


class KedaOperator:
    """What KEDA does beside its HPA: from nothing to something and back, and a number where the metric is lost.

    Args:
        keda: Its settings.
        scaling: The bounds and the target.
    """

    def __init__(self, keda: Keda, scaling: Scaling) -> None:
        self._keda, self._scaling = keda, scaling
        self._active_s = 0.0
        self._failures = 0

    def metric(self, total: float | None, replicas: int) -> float | None:
        """What its adapter answers the HPA; None: an error.

        Args:
            total: What the query gave; None: nothing.
            replicas: Replicas that there are.
        """
        if total is not None:
            self._failures = 0
            return total
        self._failures += 1
        if not self._keda.fallback or self._failures <= self._keda.failures:
            return None
        most, least = max(self._keda.fallback, replicas), min(self._keda.fallback, replicas)
        wanted = {
            Fallback.STATIC: self._keda.fallback,
            Fallback.CURRENT: replicas,
            Fallback.IF_HIGHER: most,
            Fallback.IF_LOWER: least,
        }[self._keda.fallback_behavior]
        return self._scaling.target * wanted

    def poll(self, now_s: float, replicas: int, total: float | None) -> int:
        """Decides between none and some, every `pollingInterval`.

        Args:
            now_s: Seconds.
            replicas: Replicas that are asked for now.
            total: What the query gave; None: nothing.
        """
        if total is not None and total > self._keda.activation:
            self._active_s = now_s
            return replicas or max(1, self._scaling.least)
        over = now_s - self._active_s >= self._keda.cooldown_s
        return 0 if total is not None and over and self._scaling.least == 0 else replicas


def simulate(
    scaling: Scaling, replica: Replica, trace: Trace, *, no_metrics: tuple[float, float] = NO_METRICS
) -> Outcome:
    """Lets a load come.

    Args:
        scaling: The autoscaler; with `keda` its metric is a sum, else one a pod.
        replica: What one replica can do.
        trace: The load.
        no_metrics: From when to when the metrics cannot be read, in seconds.
    """
    autoscaler = Autoscaler(scaling.least, scaling.most, scaling.behavior)
    # As many as the load needs at the start: what came before is nobody's fault.
    needed = math.ceil(trace.load(0) * replica.rows_per_second * replica.in_system_s / scaling.target)
    fleet = Fleet(replica, min(max(needed, scaling.least), scaling.most))
    keda = None if scaling.keda is None else KedaOperator(scaling.keda, scaling)
    scrapes = deque([Told(fleet.started, fleet.started * scaling.target)], maxlen=METRIC_AGE_S + 1)
    load, ready, wanted, waits = [], [], [], []
    for now_s in range(trace.seconds):
        told = scrapes[0]
        readable = not no_metrics[0] <= now_s < no_metrics[1]
        if scaling.keda is not None and keda is not None and now_s % scaling.keda.polling_s == 0:
            fleet.scale(now_s, keda.poll(now_s, fleet.replicas, told.rows if readable else None))
        if now_s % SYNC_S == 0 and fleet.replicas:
            current, tolerance = fleet.replicas, scaling.behavior.tolerance
            if keda is not None:
                metric = keda.metric(told.rows if readable else None, current)
                proposal = None if metric is None else by_sum(metric, scaling.target, current, tolerance)
            else:
                proposal = (
                    by_pods(fleet.readings(now_s, told), scaling.target, current, tolerance) if readable else None
                )
            fleet.scale(now_s, autoscaler.sync(now_s, current, largest([proposal], current)))
        fleet.advance(now_s, replica.rows_per_second * trace.load(now_s))
        scrapes.append(Told(fleet.ready(now_s), fleet.rows_in_system))
        load.append(trace.load(now_s))
        ready.append(fleet.ready(now_s))
        wanted.append(fleet.replicas)
        waits.append(fleet.oldest_s)
    rows = fleet.refused + fleet.served
    return Outcome(
        trace,
        max(wanted),
        sum(before != after for before, after in pairwise(wanted)),
        fleet.refused,
        fleet.refused / rows if rows else 0.0,
        fleet.wait_s(0.99),
        fleet.alive_s / 3600,
        load,
        ready,
        wanted,
        waits,
    )
