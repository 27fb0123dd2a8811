"""How replicas start, are looked after, and end."""

from typing import Any

from deploy.checks.check import Found, check
from deploy.checks.configuration import server_settings
from deploy.checks.manifests import Manifests, Object, Workload, at, title

FLUSH_S = 5
"""Seconds from the end of the drain to the end of the process, rounded up."""

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@check("probe-ports")
def probe_ports(manifests: Manifests) -> Found:
    """A server has all three probes, at ports that it has."""
    for server in manifests.servers:
        for container in server.containers:
            for name in _PROBES:
                probe = container.get(name)
                if probe is None:
                    yield server.name, f"{container['name']} has no {name}"
                    continue
                port = at(probe, "grpc", "port") or at(probe, "httpGet", "port")
                if port is not None and port not in server.ports and port not in server.ports.values():
                    yield server.name, f"the {name} of {container['name']} asks the port {port!r}, which is not there"


@check("liveness-independent")
def liveness_independent(manifests: Manifests) -> Found:
    """Liveness depends on neither load nor models: it is `/livez`."""
    for server in manifests.servers:
        for container in server.containers:
            if (probe := container.get("livenessProbe")) and at(probe, "httpGet", "path") != "/livez":
                yield server.name, "its livenessProbe is not GET /livez: it would kill what is full, loads or drains"


@check("probes-speak-tls")
def probes_speak_tls(manifests: Manifests) -> Found:
    """Kubernetes' gRPC probes speak no TLS."""
    for server in manifests.servers:
        settings = server_settings(manifests, server)
        if settings is not None and settings.server.tls is not None:
            for container in server.containers:
                for name in _PROBES:
                    if at(container, name, "grpc"):
                        yield server.name, f"its {name} speaks gRPC without TLS to a port that has TLS"


@check("startup-allows-load")
def startup_allows_load(manifests: Manifests) -> Found:
    """A model may take as long to load as the settings allow, and a rollout waits longer than that."""
    for server in manifests.servers:
        settings = server_settings(manifests, server)
        for container in server.containers:
            probe = container.get("startupProbe")
            if probe is None or settings is None:
                continue
            allowed_s = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            if allowed_s <= settings.engine.load_limit_s:
                needed = f"{settings.engine.load_limit_s:g} s, engine.load_limit_s"
                yield server.name, f"its startupProbe gives up after {allowed_s} s; a model may load for {needed}"
            deadline_s = at(server.spec, "progressDeadlineSeconds", default=600)
            if server.kind == "Deployment" and deadline_s <= allowed_s:
                yield server.name, f"its rollout has failed after {deadline_s} s; a replica may start for {allowed_s} s"


@check("grace-period")
def grace_period(manifests: Manifests) -> Found:
    """The grace period is longer than the drain and the longest chunk."""
    for server in manifests.servers:
        settings = server_settings(manifests, server)
        if settings is None:
            continue
        grace_s = at(server.pod, "terminationGracePeriodSeconds", default=30)
        wait_s, limit_s = settings.server.drain_wait_s, settings.server.drain_limit_s
        chunk_s = settings.engine.call_limit_s
        if grace_s < (needed_s := wait_s + limit_s + chunk_s + FLUSH_S):
            parts = (
                f"drain_wait_s {wait_s:g}, drain_limit_s {limit_s:g}, the longest chunk {chunk_s:g}, its end {FLUSH_S}"
            )
            yield server.name, f"has {grace_s} s to end and may need {needed_s:g}: {parts}"
        if not wait_s:
            yield server.name, "drain_wait_s is 0: calls would still be sent to a replica that refuses them"


@check("rolling-update")
def rolling_update(manifests: Manifests) -> Found:
    """A rollout never has fewer replicas than there should be."""
    for server in manifests.servers:
        if server.kind != "Deployment":
            continue
        rolling = at(server.spec, "strategy", "rollingUpdate", default={})
        if rolling.get("maxUnavailable") not in (0, "0", "0%") or rolling.get("maxSurge") in (None, 0, "0", "0%"):
            yield server.name, "its rollout needs maxUnavailable: 0 and a maxSurge of 1 or more"


@check("disruption-budget")
def disruption_budget(manifests: Manifests) -> Found:
    """Each server has a budget with one field, which lets a node be emptied."""
    budgets = manifests.of("PodDisruptionBudget")
    for server in manifests.servers:
        if not any(server in manifests.selected(_selector(budget)) for budget in budgets):
            yield server.name, "has no PodDisruptionBudget"
    for budget in budgets:
        spec = budget["spec"]
        if ("minAvailable" in spec) == ("maxUnavailable" in spec):
            yield title(budget), "needs one of minAvailable and maxUnavailable"
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield title(budget), "needs unhealthyPodEvictionPolicy: AlwaysAllow, or a broken replica holds up a node"
        for workload in manifests.selected(_selector(budget)):
            if _forbids_all(spec, workload):
                yield title(budget), f"lets no replica of {workload.name} go: no node could be emptied"


@check("spread")
def spread(manifests: Manifests) -> Found:
    """Replicas are spread over zones, and have a priority that exists."""
    for server in manifests.servers:
        keys = [each.get("topologyKey") for each in at(server.pod, "topologySpreadConstraints", default=[])]
        if "topology.kubernetes.io/zone" not in keys:
            yield server.name, "is not spread over zones"
        priority = at(server.pod, "priorityClassName", default="")
        if not priority.startswith("system-") and manifests.find("PriorityClass", priority) is None:
            yield server.name, f"has the priority class {priority!r}, which is not there"


def _selector(budget: Object) -> dict[str, str]:
    return dict(at(budget, "spec", "selector", "matchLabels", default={}))


def _forbids_all(spec: Object, workload: Workload) -> bool:
    replicas: Any = at(workload.spec, "replicas")
    least = spec.get("minAvailable")
    return (
        spec.get("maxUnavailable") in (0, "0", "0%")
        or least == "100%"
        or (isinstance(least, int) and isinstance(replicas, int) and least >= replicas)
    )
