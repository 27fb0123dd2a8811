"""Autoscalers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.checks.check import Found, check
from deploy.checks.configuration import server_settings
from deploy.checks.manifests import Manifests, Object, Workload, at, title


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA, or a ScaledObject, which becomes one.

    Args:
        thing: The object.
        least: Fewest replicas.
        most: Most replicas.
        behavior: How quickly, as an HPA has it.
        metrics: What it looks at: metrics or triggers.
    """

    thing: Object
    least: int
    most: int
    behavior: Object
    metrics: list[Any]

    @property
    def target(self) -> tuple[str, str]:
        """Kind and name of what it scales."""
        ref = at(self.thing, "spec", "scaleTargetRef", default={})
        return ref.get("kind", "Deployment"), ref.get("name", "")


def autoscalers(manifests: Manifests) -> Iterator[Autoscaler]:
    """All autoscalers."""
    for thing in manifests.of("HorizontalPodAutoscaler"):
        spec = thing["spec"]
        yield Autoscaler(
            thing,
            spec.get("minReplicas", 1),
            spec.get("maxReplicas", 0),
            spec.get("behavior") or {},
            spec.get("metrics", []),
        )
    for thing in manifests.of("ScaledObject"):
        spec = thing["spec"]
        behavior = at(spec, "advanced", "horizontalPodAutoscalerConfig", "behavior", default={})
        least, most = spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100)
        yield Autoscaler(thing, least, most, behavior, spec.get("triggers", []))


@check("one-autoscaler")
def one_autoscaler(manifests: Manifests) -> Found:
    """A target has one autoscaler at most: two pull in two directions."""
    counts = Counter(scaler.target for scaler in autoscalers(manifests))
    for (kind, name), count in counts.items():
        if count > 1:
            yield f"{kind}/{name}", f"has {count} autoscalers"


@check("no-replicas")
def no_replicas(manifests: Manifests) -> Found:
    """Who is scaled has no `replicas`: each apply would undo what the autoscaler did."""
    for scaler in autoscalers(manifests):
        target = manifests.find(*scaler.target)
        if target is not None and at(target, "spec", "replicas") is not None:
            yield title(target), f"has replicas, and so does {title(scaler.thing)} say how many"


@check("autoscaler-bounds")
def autoscaler_bounds(manifests: Manifests) -> Found:
    """Fewest and most replicas make sense."""
    for scaler in autoscalers(manifests):
        if scaler.least > scaler.most:
            yield title(scaler.thing), f"has at least {scaler.least} replicas and at most {scaler.most}"
        elif scaler.least < 1:
            yield title(scaler.thing), "may scale to none: the first caller would wait for a node, an image and a model"


@check("autoscaler-behavior")
def autoscaler_behavior(manifests: Manifests) -> Found:
    """Up is bounded; down is written out, and slower than a replica starts."""
    for scaler in autoscalers(manifests):
        up, down = scaler.behavior.get("scaleUp") or {}, scaler.behavior.get("scaleDown") or {}
        if not up.get("policies") or not down.get("policies"):
            yield title(scaler.thing), "its behavior does not say how quickly it scales, up and down"
            continue
        target = next((each for each in manifests.servers if (each.kind, each.name) == _named(scaler)), None)
        settings = server_settings(manifests, target) if target is not None else None
        start_s = settings.engine.load_limit_s if settings is not None else 0
        if down.get("stabilizationWindowSeconds", 300) < start_s:
            yield title(scaler.thing), f"scales down sooner than a model may take to load, {start_s:g} s"


@check("autoscaler-metrics")
def autoscaler_metrics(manifests: Manifests) -> Found:
    """It looks at rows, never at a device alone; where KEDA's source is silent, there is a fallback."""
    for scaler in autoscalers(manifests):
        kinds = {metric.get("type") for metric in scaler.metrics}
        if kinds <= {"Resource", "ContainerResource", "cpu", "memory"}:
            yield title(scaler.thing), "scales on the use of a device alone, which is high long before rows wait"
        if scaler.thing["kind"] == "ScaledObject" and not at(scaler.thing, "spec", "fallback"):
            yield title(scaler.thing), "has no fallback for when its metrics cannot be read"


def _named(scaler: Autoscaler) -> tuple[str, str]:
    kind, name = scaler.target
    return kind, f"{kind}/{name}"


def scaled(manifests: Manifests, workload: Workload) -> bool:
    """Whether a workload has an autoscaler."""
    return any(_named(scaler) == (workload.kind, workload.name) for scaler in autoscalers(manifests))
