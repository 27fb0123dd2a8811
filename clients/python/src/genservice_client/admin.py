"""Changing what is served, on the admin listener."""

from collections.abc import Sequence
from typing import Unpack

from genservice.v1 import admin_pb2
from genservice_client.async_transport import AsyncRuntime
from genservice_client.calls import Calls
from genservice_client.closing import AsyncClosing, Closing
from genservice_client.endpoint import Endpoint, Settings
from genservice_client.models import ModelInfo, VersionInfo
from genservice_client.names import resource_name
from genservice_client.sync_transport import SyncRuntime
from genservice_client.transport import run


class AdminVerbs(Calls):
    """Loads and unloads versions, and moves labels. All of it may be repeated without harm."""

    async def load_model(self, name: str, *, timeout_s: float | None = None) -> VersionInfo:
        """Begins to load a version, as `AdminClient.load_model` does."""
        request = admin_pb2.LoadModelRequest(name=resource_name(name))
        response = await self._call(lambda stubs: stubs.admin.LoadModel, request, self._deadline(timeout_s))
        return VersionInfo.from_message(response.version)

    async def unload_model(self, name: str, *, timeout_s: float | None = None) -> VersionInfo:
        """Drains a version, as `AdminClient.unload_model` does."""
        request = admin_pb2.UnloadModelRequest(name=resource_name(name))
        response = await self._call(lambda stubs: stubs.admin.UnloadModel, request, self._deadline(timeout_s))
        return VersionInfo.from_message(response.version)

    async def set_label(self, name: str, version: int | None, *, timeout_s: float | None = None) -> ModelInfo:
        """Points a label at a version, as `AdminClient.set_label` does."""
        if version is not None and version < 1:
            raise ValueError(f"version is {version}; it must be at least 1, or None to remove the label")
        request = admin_pb2.SetLabelRequest(name=resource_name(name), version=version or 0)
        response = await self._call(lambda stubs: stubs.admin.SetLabel, request, self._deadline(timeout_s))
        return ModelInfo.from_message(response.model)


class AsyncAdminClient(AdminVerbs, AsyncClosing):
    """Changes what is served, with asyncio. `AdminClient` says what the methods do.

    Args:
        target: The admin listener, as `Endpoint.target`.
        settings: As the fields of `Endpoint`.
    """

    def __init__(self, target: str | Sequence[str], **settings: Unpack[Settings]) -> None:
        super().__init__(AsyncRuntime(Endpoint(target, **settings)))


class AdminClient(Closing):
    """Changes what is served. Models are named as for `Client`.

    Args:
        target: The admin listener, as `Endpoint.target`.
        settings: As the fields of `Endpoint`.
    """

    def __init__(self, target: str | Sequence[str], **settings: Unpack[Settings]) -> None:
        self._verbs: AdminVerbs = AdminVerbs(SyncRuntime(Endpoint(target, **settings)))

    def load_model(self, name: str, *, timeout_s: float | None = None) -> VersionInfo:
        """Begins to load a version and comes back at once; `Client.watch_model` tells the rest.

        Args:
            name: Such as `fashion-gan@3`; without a version, the newest.
            timeout_s: Seconds for the call. None: the client's setting.
        """
        return run(self._verbs.load_model(name, timeout_s=timeout_s))

    def unload_model(self, name: str, *, timeout_s: float | None = None) -> VersionInfo:
        """Drains a version, such as `fashion-gan@3`, and gives back its memory; comes back at once."""
        return run(self._verbs.unload_model(name, timeout_s=timeout_s))

    def set_label(self, name: str, version: int | None, *, timeout_s: float | None = None) -> ModelInfo:
        """Points a label at a version.

        Args:
            name: Model and label, such as `fashion-gan:stable`.
            version: Number of the version; None: remove the label.
            timeout_s: Seconds for the call. None: the client's setting.
        """
        return run(self._verbs.set_label(name, version, timeout_s=timeout_s))
