"""Reads what is shipped: the HPA and the ScaledObject, whose numbers are then simulated."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.simulate.autoscaler import Behavior, Kind, Policy, Rules, Select


class Fallback(StrEnum):
    """What KEDA does where the metric is lost."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    IF_HIGHER = "currentReplicasIfHigher"
    IF_LOWER = "currentReplicasIfLower"


@dataclass(frozen=True, slots=True)
class Keda:
    """What KEDA does beside the HPA that it makes.

    Args:
        polling_s: `pollingInterval`: how often it looks whether there is anything to do, where there are no replicas.
        cooldown_s: `cooldownPeriod`: how long there is nothing to do before the last replica goes.
        activation: `activationThreshold`: the metric above which there is something to do.
        failures: `fallback.failureThreshold`: unreadable metrics in a row that are borne.
        fallback: `fallback.replicas` after that; 0: it has none.
        fallback_behavior: `fallback.behavior`: whether those, or the replicas that there are, or the more of both.
    """

    polling_s: float = 30
    cooldown_s: float = 300
    activation: float = 0
    failures: int = 0
    fallback: int = 0
    fallback_behavior: Fallback = Fallback.STATIC


@dataclass(frozen=True, slots=True)
class Scaling:
    """An autoscaler as a manifest describes it.

    Args:
        least: Fewest replicas.
        most: Most replicas.
        target: Rows queued and running a replica.
        behavior: How quickly.
        keda: What KEDA adds; None for an HPA.
    """

    least: int
    most: int
    target: float
    behavior: Behavior
    keda: Keda | None = None


def read_scaling(file: Path) -> Scaling:
    """Reads the first HPA or ScaledObject of a file of YAML.

    Args:
        file: A manifest.

    Raises:
        ValueError: It has neither, or no metric with an average value.
    """
    import yaml

    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except yaml.YAMLError as fault:
        raise ValueError(f"{file} is no YAML: {fault}") from fault
    try:
        return scaling_of(documents)
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}") from fault


def scaling_of(documents: Iterable[Mapping[str, Any] | None]) -> Scaling:
    """Takes the first HPA or ScaledObject of several objects.

    Raises:
        ValueError: There is neither, or it has no metric with an average value.
    """
    for document in documents:
        kind, spec = (document or {}).get("kind"), (document or {}).get("spec", {})
        if kind == "HorizontalPodAutoscaler":
            return _hpa(spec)
        if kind == "ScaledObject":
            return _scaled_object(spec)
    raise ValueError("there is neither a HorizontalPodAutoscaler nor a ScaledObject.")


def read_behavior(spec: Mapping[str, Any]) -> Behavior:
    """Reads `behavior`; what it leaves out is as Kubernetes has it by default."""
    usual = Behavior()
    return Behavior(_rules(spec.get("scaleUp"), usual.up), _rules(spec.get("scaleDown"), usual.down))


def _hpa(spec: Mapping[str, Any]) -> Scaling:
    targets = list(_average_values(spec))
    if not targets:
        raise ValueError("the HorizontalPodAutoscaler has no metric with an averageValue.")
    behavior = read_behavior(spec.get("behavior", {}))
    return Scaling(spec.get("minReplicas", 1), spec["maxReplicas"], targets[0], behavior)


def _average_values(spec: Mapping[str, Any]) -> Iterator[float]:
    for metric in spec.get("metrics", ()):
        target = metric.get(metric["type"][0].lower() + metric["type"][1:], {}).get("target", {})
        if target.get("type") == "AverageValue":
            yield _quantity(target["averageValue"])


def _scaled_object(spec: Mapping[str, Any]) -> Scaling:
    trigger = spec["triggers"][0]["metadata"]
    behavior = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    fallback = spec.get("fallback", {})
    return Scaling(
        spec.get("minReplicaCount", 0),
        spec.get("maxReplicaCount", 100),
        float(trigger["threshold"]),
        read_behavior(behavior),
        Keda(
            spec.get("pollingInterval", 30),
            spec.get("cooldownPeriod", 300),
            float(trigger.get("activationThreshold", 0)),
            fallback.get("failureThreshold", 0),
            fallback.get("replicas", 0),
            Fallback(fallback.get("behavior", Fallback.STATIC)),
        ),
    )


def _quantity(text: str | int) -> float:
    """A Kubernetes quantity of rows, such as `120` or `1500m`."""
    thousandths = str(text).removesuffix("m")
    return float(thousandths) / 1000 if thousandths != str(text) else float(text)


def _rules(spec: Mapping[str, Any] | None, usual: Rules) -> Rules:
    if not spec:
        return usual
    policies = tuple(
        Policy(Kind(policy["type"]), policy["value"], policy["periodSeconds"]) for policy in spec.get("policies", ())
    )
    return Rules(
        spec.get("stabilizationWindowSeconds", usual.window_s),
        policies or usual.policies,
        Select(spec.get("selectPolicy", usual.select)),
        float(spec.get("tolerance", usual.tolerance)),
    )
