"""What `kubectl kustomize` printed, as objects that can be asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
CLUSTER_WIDE = frozenset(
    {"Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
)


def at(tree: Any, *path: str | int, default: Any = None) -> Any:
    """What is at a path of keys and indexes, or else the default."""
    for key in path:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return default
    return default if tree is None else tree


def title(thing: Object) -> str:
    """What people call an object: `Deployment/genservice`."""
    return f"{thing.get('kind', '?')}/{at(thing, 'metadata', 'name', default='?')}"


@dataclass(frozen=True, slots=True)
class Workload:
    """An object that makes pods.

    Args:
        thing: The object.
        template: Its pods.
    """

    thing: Object
    template: Object

    @property
    def kind(self) -> str:
        """Such as `Deployment`."""
        return str(self.thing["kind"])

    @property
    def name(self) -> str:
        """What people call it."""
        return title(self.thing)

    @property
    def spec(self) -> Object:
        """What it says beside its pods."""
        return at(self.thing, "spec", default={})  # type: ignore[no-any-return]

    @property
    def pod(self) -> Object:
        """The specification of its pods."""
        return at(self.template, "spec", default={})  # type: ignore[no-any-return]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return at(self.template, "metadata", "labels", default={})  # type: ignore[no-any-return]

    @property
    def containers(self) -> Sequence[Object]:
        """The containers that stay, without those of the start."""
        return at(self.pod, "containers", default=[])  # type: ignore[no-any-return]

    @property
    def all_containers(self) -> Sequence[Object]:
        """All containers."""
        return [*at(self.pod, "initContainers", default=[]), *self.containers]

    @property
    def ports(self) -> Mapping[str, int]:
        """Numbers of the ports that have a name."""
        found = (port for container in self.containers for port in container.get("ports", ()))
        return {port["name"]: port["containerPort"] for port in found if "name" in port}


@dataclass(frozen=True, slots=True)
class Manifests:
    """All objects that are applied together.

    Args:
        objects: In the order in which they are applied.
    """

    objects: Sequence[Object]

    @classmethod
    def parse(cls, text: str) -> "Manifests":
        """Reads YAML.

        Raises:
            yaml.YAMLError: It is none.
        """
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
        return cls([thing for thing in yaml.load_all(text, loader) if thing])

    def of(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [thing for thing in self.objects if thing.get("kind") in kinds]

    def find(self, kind: str, name: str) -> Object | None:
        """The object of a name, if there is one."""
        return next((thing for thing in self.of(kind) if at(thing, "metadata", "name") == name), None)

    @property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        return [
            Workload(thing, at(thing, *_TEMPLATES[thing["kind"]], default={}))
            for thing in self.objects
            if thing.get("kind") in _TEMPLATES
        ]

    @property
    def servers(self) -> list[Workload]:
        """The workloads that serve: those that stay up and have ports."""
        return [workload for workload in self.workloads if workload.kind not in ("Job", "CronJob") and workload.ports]

    def selected(self, selector: Mapping[str, str]) -> list[Workload]:
        """The workloads whose pods have these labels."""
        return [workload for workload in self.workloads if selector.items() <= workload.labels.items()]


def match_labels(thing: Object, *path: str) -> Mapping[str, str]:
    """The `matchLabels` of the selector at a path."""
    return at(thing, *path, "matchLabels", default={})  # type: ignore[no-any-return]


def ports_of(thing: Object) -> Iterator[Object]:
    """The ports of a Service."""
    yield from at(thing, "spec", "ports", default=[])
