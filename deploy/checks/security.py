"""The Pod Security Standard `restricted`, and what goes beyond it here: a read-only root and no token."""

from collections.abc import Iterator

from deploy.checks.check import Found, check
from deploy.checks.manifests import Manifests, Object, Workload, at, title

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


@check("pod-security")
def pod_security(manifests: Manifests) -> Found:
    """Every pod may run where `restricted` is enforced."""
    for workload in manifests.workloads:
        for message in (
            *_of_pod(workload),
            *(m for each in workload.all_containers for m in _of_container(workload, each)),
        ):
            yield workload.name, message
    for namespace in manifests.of("Namespace"):
        if at(namespace, "metadata", "labels", "pod-security.kubernetes.io/enforce") != "restricted":
            yield title(namespace), "does not enforce the Pod Security Standard `restricted`"


@check("read-only-root")
def read_only_root(manifests: Manifests) -> Found:
    """No container writes into its image."""
    for workload in manifests.workloads:
        for container in workload.all_containers:
            if at(container, "securityContext", "readOnlyRootFilesystem") is not True:
                yield workload.name, f"{container['name']} needs readOnlyRootFilesystem: true"


@check("no-token")
def no_token(manifests: Manifests) -> Found:
    """No pod has a token of the API server: none asks it anything."""
    for workload in manifests.workloads:
        if at(workload.pod, "automountServiceAccountToken") is not False:
            yield workload.name, "needs automountServiceAccountToken: false"


def _of_pod(workload: Workload) -> Iterator[str]:
    pod = workload.pod
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"has {field}"
    for volume in at(pod, "volumes", default=[]):
        if kinds := set(volume) - {"name"} - _VOLUMES:
            yield f"the volume {volume['name']} is a {', '.join(sorted(kinds))}"


def _of_container(workload: Workload, container: Object) -> Iterator[str]:
    name = container["name"]
    own, shared = at(container, "securityContext", default={}), at(workload.pod, "securityContext", default={})
    if own.get("privileged"):
        yield f"{name} is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} needs allowPrivilegeEscalation: false"
    if at(own, "capabilities", "drop", default=[]) != ["ALL"] or at(own, "capabilities", "add", default=[]):
        yield f"{name} needs to drop all capabilities"
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield f"{name} needs runAsNonRoot: true"
    if own.get("runAsUser", shared.get("runAsUser")) in (None, 0):
        yield f"{name} needs the number of a user that is not root"
    if at(own, "seccompProfile", "type", default=at(shared, "seccompProfile", "type")) not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield f"{name} needs a seccompProfile"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"{name} has a hostPort"
