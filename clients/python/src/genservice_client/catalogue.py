"""What can be asked about models. Written once: `AsyncClient` has these coroutines, `Client` runs them."""

from collections.abc import AsyncGenerator

from genservice.v1 import models_pb2
from genservice_client.calls import Calls
from genservice_client.errors import GenserviceClientError, ProtocolError, UnavailableError
from genservice_client.models import ModelInfo, VersionInfo
from genservice_client.names import resource_name
from genservice_client.retry import Deadline
from genservice_client.route import Route
from genservice_client.transport import Call, Runtime


class Catalogue(Calls):
    """Lists, gives and watches models."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._known_versions: dict[str, VersionInfo] = {}

    async def models(self, *, timeout_s: float | None = None) -> list[ModelInfo]:
        """Lists the models, as `Client.models` does."""
        deadline = self._deadline(timeout_s)
        models: list[ModelInfo] = []
        page_token = ""
        while True:
            request = models_pb2.ListModelsRequest(page_token=page_token)
            response = await self._call(lambda stubs: stubs.models.ListModels, request, deadline)
            models.extend(map(ModelInfo.from_message, response.models))
            page_token = response.next_page_token
            if not page_token:
                return models

    async def model(self, name: str, *, timeout_s: float | None = None) -> ModelInfo:
        """Gives a model, as `Client.model` does."""
        return await self._get(resource_name(name), self._deadline(timeout_s))

    def watch_model(self, name: str, *, timeout_s: float | None = None) -> AsyncGenerator[ModelInfo, None]:
        """Gives a model now and whenever it changes, as `Client.watch_model` does."""
        request = models_pb2.WatchModelRequest(name=resource_name(name))
        return self._watch(request, Deadline(timeout_s, self._endpoint.clock))

    async def _get(self, name: str, deadline: Deadline, *, pinned: bool = False) -> ModelInfo:
        request = models_pb2.GetModelRequest(name=name)
        response = await self._call(lambda stubs: stubs.models.GetModel, request, deadline, pinned=pinned)
        return ModelInfo.from_message(response.model)

    async def _version(self, name: str, deadline: Deadline, *, pinned: bool = True) -> VersionInfo:
        """Gives a version by its full name. What it is never changes, so it is asked for once; its state does."""
        if name not in self._known_versions:
            found = await self._get(name, deadline, pinned=pinned)
            if [version.name for version in found.versions] != [name]:
                raise ProtocolError(f"{name} was asked for, and {[version.name for version in found.versions]} came")
            self._known_versions[name] = found.versions[0]
        return self._known_versions[name]

    async def _answering(self, name: str, deadline: Deadline) -> VersionInfo:
        """Gives the version that answers for a model now.

        Raises:
            UnavailableError: None is ready.
        """
        if "/versions/" in name:
            return await self._version(name, deadline, pinned=False)
        version = (await self._get(name, deadline)).answering
        if version is None:
            raise UnavailableError(f"no version of {name} is ready")
        return version

    async def _watch(
        self, request: models_pb2.WatchModelRequest, deadline: Deadline
    ) -> AsyncGenerator[ModelInfo, None]:
        route = Route(self._replicas, deadline)
        call: Call[models_pb2.WatchModelResponse] | None = None
        last: ModelInfo | None = None
        try:
            while True:
                try:
                    if call is None:
                        call = await route.stream(lambda stubs: stubs.models.WatchModel, request)
                    response = await call.read()
                    if response is None:
                        raise ProtocolError("the server ended the watch")
                except GenserviceClientError as error:
                    call = None
                    await route.wait_after(error)
                    continue
                route.progress()
                model = ModelInfo.from_message(response.model)
                # After a cut the server begins with the present, which may be what was given last.
                if model != last:
                    last = model
                    yield model
        finally:
            if call is not None:
                call.cancel()
