"""Selectors, ports and policies."""

from collections.abc import Iterator, Mapping, Sequence

from deploy.checks.check import Found, check
from deploy.checks.manifests import CLUSTER_WIDE, Manifests, Object, Workload, at, match_labels, ports_of, title

DNS_PORT = 53


@check("selectors-match")
def selectors_match(manifests: Manifests) -> Found:
    """Whatever selects pods finds some, and a Deployment its own."""
    for workload in manifests.workloads:
        yield from ((workload.name, message) for message in _own_selectors(workload))
    for thing, selector in _pod_selectors(manifests):
        if not manifests.selected(selector):
            yield title(thing), f"selects {dict(selector)}, which no pod has"
    for thing in manifests.of("ServiceMonitor"):
        if not _monitored(manifests, thing):
            yield title(thing), "selects labels that no Service has"
    for thing in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = at(thing, "spec", "scaleTargetRef", default={})
        if manifests.find(target.get("kind", "Deployment"), target.get("name", "")) is None:
            yield title(thing), f"scales {target.get('kind', 'Deployment')}/{target.get('name')}, which is not there"


def _own_selectors(workload: Workload) -> Iterator[str]:
    own = match_labels(workload.spec, "selector")
    if workload.kind in ("Deployment", "StatefulSet", "DaemonSet") and not own.items() <= workload.labels.items():
        yield f"selects {dict(own)}, and its pods have {dict(workload.labels)}"
    for spread in at(workload.pod, "topologySpreadConstraints", default=[]):
        if not match_labels(spread, "labelSelector").items() <= workload.labels.items():
            yield f"spreads over {spread.get('topologyKey')} by labels that its pods do not have"


def _pod_selectors(manifests: Manifests) -> Iterator[tuple[Object, Mapping[str, str]]]:
    for thing in manifests.of("Service"):
        if selector := at(thing, "spec", "selector"):
            yield thing, selector
    for thing in manifests.of("PodDisruptionBudget"):
        yield thing, match_labels(thing, "spec", "selector")
    for thing in manifests.of("NetworkPolicy"):
        yield thing, match_labels(thing, "spec", "podSelector")


@check("ports-named")
def ports_named(manifests: Manifests) -> Found:
    """Ports of Services, monitors, policies and routes are there, under the name or number that is used."""
    for look in (_service_ports, _monitor_ports, _policy_ports, _route_ports):
        yield from look(manifests)


def _service_ports(manifests: Manifests) -> Found:
    for thing in manifests.of("Service"):
        workloads = manifests.selected(at(thing, "spec", "selector", default={}))
        for port in ports_of(thing):
            if "name" not in port:
                yield title(thing), f"the port {port.get('port')} has no name"
            target = port.get("targetPort", port.get("port"))
            if not all(_has_port(workload, target) for workload in workloads):
                yield title(thing), f"leads to the port {target!r}, which its pods do not have"


def _monitor_ports(manifests: Manifests) -> Found:
    for thing in manifests.of("ServiceMonitor"):
        names = [str(port.get("name")) for service in _monitored(manifests, thing) for port in ports_of(service)]
        for endpoint in at(thing, "spec", "endpoints", default=[]):
            if names and endpoint.get("port") not in names:
                yield title(thing), f"reads the port {endpoint.get('port')!r}; its Services have {', '.join(names)}"


def _policy_ports(manifests: Manifests) -> Found:
    for thing in manifests.of("NetworkPolicy"):
        workloads = manifests.selected(match_labels(thing, "spec", "podSelector"))
        for port in _ports([thing], "ingress"):
            if not all(_has_port(workload, port) for workload in workloads):
                yield title(thing), f"lets in to the port {port!r}, which its pods do not have"


def _route_ports(manifests: Manifests) -> Found:
    for thing in manifests.of("GRPCRoute"):
        for backend in (each for rule in at(thing, "spec", "rules", default=[]) for each in rule["backendRefs"]):
            service = manifests.find("Service", backend.get("name", ""))
            if service is None or backend.get("port") not in [port.get("port") for port in ports_of(service)]:
                yield title(thing), f"leads to {backend.get('name')}:{backend.get('port')}, which is not there"


@check("one-namespace")
def one_namespace(manifests: Manifests) -> Found:
    """All is in one namespace; what names it in a query means the same."""
    things = [thing for thing in manifests.objects if thing.get("kind") not in CLUSTER_WIDE]
    spaces = {at(thing, "metadata", "namespace") for thing in things}
    made = {at(thing, "metadata", "name") for thing in manifests.of("Namespace")}
    for thing in things:
        space = at(thing, "metadata", "namespace")
        if space is None or len(spaces) > 1 or (made and space not in made):
            yield title(thing), f"is in the namespace {space!r}; of all together there are {sorted(map(str, spaces))}"
    for thing in manifests.of("ScaledObject"):
        for trigger in at(thing, "spec", "triggers", default=[]):
            query, space = at(trigger, "metadata", "query", default=""), at(thing, "metadata", "namespace")
            if "namespace=" in query and f'namespace="{space}"' not in query:
                yield title(thing), f"is in {space}, and asks for the metrics of another namespace: {query}"


@check("network-policy")
def network_policy(manifests: Manifests) -> Found:
    """Pods that policies close off may resolve names, and servers are reached at each of their ports."""
    policies = manifests.of("NetworkPolicy")
    for workload in manifests.workloads:
        going_out = _policies_of(workload, policies, "Egress")
        if going_out and DNS_PORT not in _ports(going_out, "egress"):
            yield workload.name, "may ask no DNS"
    for server in manifests.servers:
        coming_in = _policies_of(server, policies, "Ingress")
        let_in = set(_ports(coming_in, "ingress"))
        for name, number in server.ports.items():
            if coming_in and not {name, number} & let_in:
                yield server.name, f"is reached by nobody at its port {name}"


def _policies_of(workload: Workload, policies: Sequence[Object], kind: str) -> list[Object]:
    """The policies that close the workload's pods off in one direction but for what they list."""
    labels = workload.labels.items()
    chosen = [policy for policy in policies if match_labels(policy, "spec", "podSelector").items() <= labels]
    return [policy for policy in chosen if kind in policy["spec"].get("policyTypes", ("Ingress",))]


def _monitored(manifests: Manifests, monitor: Object) -> list[Object]:
    wanted = match_labels(monitor, "spec", "selector")
    services = manifests.of("Service")
    return [thing for thing in services if wanted.items() <= at(thing, "metadata", "labels", default={}).items()]


def _has_port(workload: Workload, port: str | int | None) -> bool:
    return port in workload.ports or port in workload.ports.values()


def _ports(policies: list[Object], direction: str) -> Iterator[str | int]:
    for policy in policies:
        for rule in at(policy, "spec", direction, default=[]):
            yield from (port["port"] for port in rule.get("ports", ()) if "port" in port)
