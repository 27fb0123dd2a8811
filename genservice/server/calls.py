"""What the services of both kinds do alike."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Never, Protocol

from numpy.typing import NDArray

from genservice.engine.call import Rows
from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.engine.validation import check_verb
from genservice.engine.verbs import VERBS
from genservice.errors import GenserviceError, VerbNotSupported
from genservice.model.base import Model
from genservice.server import convert
from genservice.server.caller import CallerContext, flow_of
from genservice.server.rpc import note
from genservice.store.names import ModelName
from genservice.v1 import types_pb2


class Request(Protocol):
    """A request of a verb."""

    @property
    def model(self) -> str:
        """Resource name of a model or of a version."""

    @property
    def options(self) -> Mapping[str, types_pb2.OptionValue]:
        """Options by name."""


class Context(CallerContext, Protocol):
    """The part of gRPC's context that services use."""

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None where it has none."""


async def run(
    engine: Engine, request: Request, context: Context, verb: str, inputs: Mapping[str, Rows]
) -> tuple[Version, NDArray[Any]]:
    """Runs a verb that is answered at once and has one result.

    Returns:
        The version that answered, and the result.

    Raises:
        GenserviceError: The request is refused, or failed.
    """
    version, results = await run_function(engine, request, context, verb, inputs)
    return version, results[VERBS[verb].outputs[0]]


async def run_function(
    engine: Engine, request: Request, context: Context, function: str, inputs: Mapping[str, Rows]
) -> tuple[Version, Mapping[str, NDArray[Any]]]:
    """Runs a function of a model that is answered at once.

    Returns:
        The version that answered, and the results by name.

    Raises:
        GenserviceError: The request is refused, or failed.
    """
    name = ModelName.parse(request.model)
    options = convert.options(request.options)
    flow = flow_of(context)
    results: Any
    version, results = await engine.call(name, function, inputs, options, timeout_s=context.time_remaining(), flow=flow)
    note(str(version.name), len(next(iter(results.values()))))
    return version, results


def model_of(engine: Engine, request: Request, verb: str) -> Model:
    """What the version that would answer declares.

    Raises:
        GenserviceError: There is none, or it has no such verb.
    """
    version = engine.catalog.ready(ModelName.parse(request.model))
    check_verb(version, verb)
    assert version.description is not None
    return version.description


def refuse(engine: Engine, request: Request, verb: str) -> Never:
    """Refuses a verb that this release does not have.

    Raises:
        GenserviceError: VerbNotSupported; or what is wrong with the model's name.
    """
    version = engine.catalog.ready(ModelName.parse(request.model))
    verbs = [known for known in version.verbs if known != verb]
    raise VerbNotSupported(
        f"This release does not serve `{verb}`; {version.name} can: {', '.join(verbs)}.",
        field="model",
        metadata={"verbs": ",".join(verbs)},
    )


@contextmanager
def field_named(engine_name: str, request_name: str) -> Iterator[None]:
    """Names the field of an error as the request does, where the engine knows it by another name."""
    try:
        yield
    except GenserviceError as error:
        if error.field == engine_name or error.field.startswith(f"{engine_name}."):
            error.field = request_name + error.field.removeprefix(engine_name)
        raise
