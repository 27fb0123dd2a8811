"""grpc.health.v1: one name for the service, one for each gRPC service, and one for each model."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing

from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from genservice.engine.catalog import State
from genservice.engine.engine import Engine
from genservice.errors import NotFound, suggestion
from genservice.server.calls import Context
from genservice.server.changes import Changes

Status = pb.HealthCheckResponse.ServingStatus


class Health(HealthServicer):  # type: ignore[misc] # the base has no types
    """Answers from the engine's state as it is when asked, so that it can never be out of date.

    The names are the empty one, those of the gRPC services, and those of the models, such as `fashion-gan`. A model
    serves while one of its versions is ready.

    Args:
        engine: What is asked after.
        changes: Says when to look again.
        services: Full names of the gRPC services.
    """

    def __init__(self, engine: Engine, changes: Changes, services: Collection[str]) -> None:
        self._engine = engine
        self._changes = changes
        self._services = frozenset(["", *services])
        self._leaving = False

    def leave(self) -> None:
        """Says NOT_SERVING from now on, though requests are still taken."""
        self._leaving = True
        self._changes.wake_all()

    async def Check(self, request: pb.HealthCheckRequest, context: Context) -> pb.HealthCheckResponse:  # noqa: N802
        """Gives the status of a name."""
        status = self._status(request.service)
        if status == pb.HealthCheckResponse.SERVICE_UNKNOWN:
            known = [*self._services, *self._engine.catalog.models()]
            raise NotFound(
                f"There is no service {request.service!r}.{suggestion(request.service, known)}", field="service"
            )
        return pb.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Streams the status of a name now and whenever it is another; SERVICE_UNKNOWN where there is none."""
        last: int | None = None
        async with aclosing(self._changes.watch()) as changes:
            async for _ in changes:
                status = self._status(request.service)
                if status != last:
                    last = status
                    yield pb.HealthCheckResponse(status=status)

    def _status(self, service: str) -> int:
        catalog = self._engine.catalog
        if service in self._services:
            serving = self._engine.ready
        elif service in catalog.models():
            ready = any(version.state is State.READY for version in catalog.versions(service))
            serving = ready and not self._engine.draining
        else:
            return int(pb.HealthCheckResponse.SERVICE_UNKNOWN)
        return int(Status.SERVING if serving and not self._leaving else Status.NOT_SERVING)
