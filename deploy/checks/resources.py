"""What containers ask for: images, CPU, memory, GPUs."""

import re

from deploy.checks.check import Found, check
from deploy.checks.configuration import server_settings
from deploy.checks.manifests import Manifests, Object, at

GPU = "nvidia.com/gpu"
OWN_IMAGE = re.compile(r"(.*/)?genservice(-[a-z0-9-]+)?([:@].+)?")
"""Images that whoever deploys builds: their digests are not known before."""
_UNITS = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


@check("resources")
def resources(manifests: Manifests) -> Found:
    """Each container requests CPU and memory, and has a limit of memory not under its request."""
    for workload in manifests.workloads:
        for container in workload.all_containers:
            requests = at(container, "resources", "requests", default={})
            limits = at(container, "resources", "limits", default={})
            if missing := [name for name in ("cpu", "memory") if name not in requests]:
                yield workload.name, f"{container['name']} requests no {' and no '.join(missing)}"
            if "memory" not in limits:
                yield workload.name, f"{container['name']} has no limit of memory"
            for name in requests.keys() & limits.keys() - {GPU}:
                if _amount(requests[name]) > _amount(limits[name]):
                    yield workload.name, f"{container['name']} requests {requests[name]} {name}, over its limit"


@check("threads")
def threads(manifests: Manifests) -> Found:
    """On the CPU, threads of an operation are not more than the cores that are requested."""
    for server in manifests.servers:
        settings = server_settings(manifests, server)
        for container in server.containers:
            if settings is None or _gpus(container, "requests") or _gpus(container, "limits"):
                continue
            cores = _amount(at(container, "resources", "requests", "cpu", default="0"))
            count = settings.engine.intra_op_threads
            if not 0 < count <= cores:
                yield (
                    server.name,
                    f"engine.intra_op_threads is {count}, and {container['name']} requests {cores:g} cores: by default "
                    "TensorFlow starts a thread for each core of the node",
                )


@check("gpu")
def gpu(manifests: Manifests) -> Found:
    """Who has GPUs requests as many as its limit, goes to nodes that have them, and says so in its settings."""
    for workload in manifests.workloads:
        has = any(_gpus(container, "limits") or _gpus(container, "requests") for container in workload.all_containers)
        for container in workload.all_containers:
            requested, limit = _gpus(container, "requests"), _gpus(container, "limits")
            if requested != limit:
                yield workload.name, f"{container['name']} requests {requested} GPUs, and its limit is {limit}"
        if has and not at(workload.pod, "nodeSelector"):
            yield workload.name, "has a GPU and no nodeSelector"
        if has and not any(each.get("key") in (GPU, None) for each in at(workload.pod, "tolerations", default=[])):
            yield workload.name, f"has a GPU and does not tolerate the taint {GPU}"
    for server in manifests.servers:
        settings = server_settings(manifests, server)
        count = sum(_gpus(container, "limits") for container in server.containers)
        asked = {worker for worker in settings.engine.workers if worker.startswith("GPU")} if settings else set()
        if settings is not None and len(asked) != count:
            yield server.name, f"has {count} GPUs, and engine.workers is {list(settings.engine.workers)}"


@check("images")
def images(manifests: Manifests) -> Found:
    """Images of others are pinned by digest; one's own have a version, which is not `latest`."""
    for workload in manifests.workloads:
        for container in workload.all_containers:
            image = container.get("image", "")
            name = image.rpartition("/")[2]
            if "@sha256:" in image:
                continue
            if not OWN_IMAGE.fullmatch(image):
                yield workload.name, f"the image {image} of {container['name']} is not pinned by digest"
            elif ":" not in name or name.endswith(":latest"):
                yield workload.name, f"the image {image} of {container['name']} has no version"


def _gpus(container: Object, part: str) -> int:
    return int(at(container, "resources", part, GPU, default=0))


def _amount(quantity: str | int | float) -> float:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity))
    return float(match[1]) * _UNITS[match[2]] if match else 0.0
