"""ModelAdminService: changes what is served."""

from genservice.engine.engine import Engine
from genservice.errors import InvalidRequest
from genservice.server import convert
from genservice.server.calls import Context, field_named
from genservice.store.names import ModelName
from genservice.v1 import admin_pb2 as pb
from genservice.v1.admin_pb2_grpc import ModelAdminServiceServicer


class ModelAdminService(ModelAdminServiceServicer):
    """The service over an engine.

    Args:
        engine: Loads and unloads.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def LoadModel(self, request: pb.LoadModelRequest, context: Context) -> pb.LoadModelResponse:  # noqa: N802
        """Begins to load a version."""
        with field_named("model", "name"):
            version = await self._engine.load(ModelName.parse(request.name, field="name"))
        return pb.LoadModelResponse(version=convert.version_message(version))

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: Context) -> pb.UnloadModelResponse:  # noqa: N802
        """Begins to drain and unload a version."""
        name = ModelName.parse(request.name, field="name")
        if name == ModelName(name.model):
            raise InvalidRequest(
                "`name` is 'models/MODEL/versions/NUMBER' or 'models/MODEL/labels/LABEL': one version is unloaded.",
                field="name",
            )
        with field_named("model", "name"):
            version = self._engine.unload(name)
        return pb.UnloadModelResponse(version=convert.version_message(version))

    async def SetLabel(self, request: pb.SetLabelRequest, context: Context) -> pb.SetLabelResponse:  # noqa: N802
        """Points a label at a version, or removes it."""
        name = ModelName.parse(request.name, field="name")
        if name.label is None:
            raise InvalidRequest("`name` is 'models/MODEL/labels/LABEL'.", field="name")
        if request.version < 0:
            raise InvalidRequest(f"`version` is 0 or greater; got {request.version}.", field="version")
        with field_named("model", "name"):
            await self._engine.set_label(name, request.version)
            model = convert.model_message(self._engine.catalog, ModelName(name.model))
        return pb.SetLabelResponse(model=model)
