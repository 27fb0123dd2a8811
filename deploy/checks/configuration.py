"""The settings that a replica would have: its file's, with its variables on top."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath

from deploy.checks.check import Found, check
from deploy.checks.manifests import Manifests, Object, Workload, at
from genservice.cli.settings import PREFIX, Settings, read_settings
from genservice.errors import GenserviceError

_HASH = re.compile(r".+-[a-z0-9]{10}")


def server_settings(manifests: Manifests, server: Workload) -> Settings | None:
    """The settings of a server; None where they are wrong, which the check `settings` tells.

    Args:
        manifests: Have the ConfigMap.
        server: The workload.
    """
    try:
        return _read(manifests, server)
    except GenserviceError:
        return None


@check("settings")
def settings(manifests: Manifests) -> Found:
    """The settings are right, and fit what the pod has: ports, folders, variables."""
    for server in manifests.servers:
        try:
            read = _read(manifests, server)
        except GenserviceError as error:
            yield server.name, error.message
            continue
        if read is None:
            yield server.name, "no container runs `genservice serve --config FILE` with a file of a ConfigMap"
            continue
        for message in (*_addresses(server, read), *_folders(server, read)):
            yield server.name, message
        if at(server.pod, "enableServiceLinks") is not False:
            yield server.name, "needs enableServiceLinks: false, or Services' variables are taken for settings"


def _addresses(server: Workload, read: Settings) -> Iterator[str]:
    for name, address in (("listen", read.server.listen), ("http_listen", read.server.http_listen)):
        host, _, port = address.rpartition(":")
        if host not in ("0.0.0.0", "[::]"):  # noqa: S104 - a pod is reached from outside of it
            yield f"server.{name} is {address}, which nobody outside of the pod reaches"
        if not port.isdecimal() or int(port) not in server.ports.values():
            yield f"server.{name} is {address}, and the container has no such port"


def _folders(server: Workload, read: Settings) -> Iterator[str]:
    if not read.store:
        yield "its store is no volume: give the setting store"
    tls = read.server.tls
    files = (tls.certificate, tls.private_key, tls.client_ca) if tls is not None else ()
    for path in (*read.store, *files):
        if path is not None and _mount_of(server, path.as_posix()) is None:
            yield f"{path} is in no volume"


@check("config-hash")
def config_hash(manifests: Manifests) -> Found:
    """A ConfigMap's name has the hash of its content, so that a change is a rollout, and it is there."""
    for workload in manifests.workloads:
        for volume in at(workload.pod, "volumes", default=[]):
            if name := at(volume, "configMap", "name"):
                if manifests.find("ConfigMap", name) is None:
                    yield workload.name, f"the ConfigMap {name} is not there"
                elif not _HASH.fullmatch(name):
                    yield workload.name, f"the ConfigMap {name} has no hash in its name: a change would go unnoticed"


@check("volumes")
def volumes(manifests: Manifests) -> Found:
    """Every mount is of a volume; models and settings are read only to those who serve them; folders have a limit."""
    for workload in manifests.workloads:
        known = {volume["name"]: volume for volume in at(workload.pod, "volumes", default=[])}
        for container in workload.all_containers:
            for mount in container.get("volumeMounts", ()):
                if mount["name"] not in known:
                    yield workload.name, f"{container['name']} mounts {mount['name']}, which is no volume"
        for name, volume in known.items():
            if "emptyDir" in volume and not at(volume, "emptyDir", "sizeLimit"):
                yield workload.name, f"the volume {name} has no sizeLimit, and could fill the node's disk"
    for server in manifests.servers:
        read = server_settings(manifests, server)
        for folder in read.store if read is not None else ():
            mount = _mount_of(server, folder.as_posix())
            if mount is not None and not mount.get("readOnly"):
                yield server.name, f"may write into its store {folder}"


def _read(manifests: Manifests, server: Workload) -> Settings | None:
    for container in server.containers:
        command = [*container.get("command", ()), *container.get("args", ())]
        if "--config" not in command[:-1]:
            continue
        text = _file(manifests, server, container, command[command.index("--config") + 1])
        if text is None:
            continue
        return _settings(text, tuple((one["name"], one["value"]) for one in container.get("env", ()) if "value" in one))
    return None


@cache
def _settings(text: str, variables: tuple[tuple[str, str], ...]) -> Settings:
    with tempfile.TemporaryDirectory() as folder, _environment(dict(variables)):
        file = Path(folder) / "settings.toml"
        file.write_text(text)
        return read_settings({}, file)


def _file(manifests: Manifests, server: Workload, container: Object, path: str) -> str | None:
    """What is in a file of the container, where that is one of a ConfigMap."""
    mount = _mount_of(server, path)
    if mount is None:
        return None
    for volume in at(server.pod, "volumes", default=[]):
        if volume["name"] == mount["name"] and (name := at(volume, "configMap", "name")):
            key = str(PurePosixPath(path).relative_to(mount["mountPath"]))
            found: str | None = at(manifests.find("ConfigMap", name), "data", key)
            return found
    return None


def _mount_of(server: Workload, path: str) -> Object | None:
    """The mount that a path is in."""
    for container in server.containers:
        for mount in container.get("volumeMounts", ()):
            if PurePosixPath(path).is_relative_to(mount["mountPath"]):
                return mount  # type: ignore[no-any-return]
    return None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Has the settings read these variables in place of the real ones."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    ours = {name: value for name, value in variables.items() if name.startswith(PREFIX)}
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)
