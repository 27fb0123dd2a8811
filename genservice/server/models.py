"""ModelService: says what is served."""

from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import aclosing

from genservice.engine.catalog import Catalog
from genservice.errors import InvalidRequest
from genservice.server import convert
from genservice.server.calls import Context, field_named
from genservice.server.changes import Changes
from genservice.store.names import ModelName, is_safe
from genservice.v1 import models_pb2 as pb
from genservice.v1.models_pb2_grpc import ModelServiceServicer

DEFAULT_PAGE = 100
MOST_PAGE = 1000


class ModelService(ModelServiceServicer):
    """The service over a catalog.

    Args:
        catalog: Knows the models.
        changes: Says when one changes.
    """

    def __init__(self, catalog: Catalog, changes: Changes) -> None:
        self._catalog = catalog
        self._changes = changes

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        """Gives a page of models, by name."""
        if request.page_size < 0:
            raise InvalidRequest(f"`page_size` is 0 or greater; got {request.page_size}.", field="page_size")
        if request.page_token and not is_safe(request.page_token):
            raise InvalidRequest("`page_token` is not one that this server gave.", field="page_token")
        # The token is the name of the next page's first model, so that a model which comes or goes moves no other.
        names = self._catalog.models()
        start = bisect_left(names, request.page_token)
        stop = start + min(request.page_size or DEFAULT_PAGE, MOST_PAGE)
        return pb.ListModelsResponse(
            models=[convert.model_message(self._catalog, ModelName(name)) for name in names[start:stop]],
            next_page_token=names[stop] if stop < len(names) else "",
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: N802
        """Gives a model with all its versions, or with the one that is named."""
        with field_named("model", "name"):
            model = convert.model_message(self._catalog, ModelName.parse(request.name, field="name"))
        return pb.GetModelResponse(model=model)

    async def WatchModel(  # noqa: N802
        self, request: pb.WatchModelRequest, context: Context
    ) -> AsyncIterator[pb.WatchModelResponse]:
        """Streams a model now and whenever it changes."""
        name = ModelName.parse(request.name, field="name")
        if name != ModelName(name.model):
            raise InvalidRequest("`name` is 'models/MODEL': a model is watched with all its versions.", field="name")
        async with aclosing(self._changes.watch(name.model)) as changes:
            async for _ in changes:
                with field_named("model", "name"):
                    model = convert.model_message(self._catalog, name)
                yield pb.WatchModelResponse(model=model)
