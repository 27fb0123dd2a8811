"""What the services of both kinds do alike."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from genservice.engine.aside import aside, work_bytes_of
from genservice.engine.call import Rows
from genservice.engine.catalog import Version
from genservice.engine.engine import Engine
from genservice.engine.sequences import pad
from genservice.engine.verbs import VERBS
from genservice.errors import GenserviceError
from genservice.server import convert
from genservice.server.caller import CallerContext, flow_of
from genservice.server.rpc import note
from genservice.store.names import ModelName
from genservice.v1 import classification_pb2, types_pb2


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
    with engine.using(ModelName.parse(request.model), verb) as version:
        results = await run_on(engine, version, request, context, verb, inputs)
    return version, results[VERBS[verb].outputs[0]]


async def run_on(
    engine: Engine,
    version: Version,
    request: Request,
    context: Context,
    function: str,
    inputs: Mapping[str, Rows],
    *,
    beside_bytes: int = 0,
) -> Mapping[str, NDArray[Any]]:
    """Runs a function of a version that is being used.

    Args:
        engine: Does the work.
        version: What `Engine.using` gave.
        request: Has the options.
        context: Who calls, and until when.
        function: As `Engine.call` takes it.
        inputs: Its inputs.
        beside_bytes: Bytes of the request that the model does not get.

    Returns:
        The results by name.

    Raises:
        GenserviceError: The request is refused, or failed.
    """
    results: Any
    _, results = await engine.call(
        version,
        function,
        inputs,
        convert.options(request.options),
        timeout_s=context.time_remaining(),
        flow=flow_of(context),
        beside_bytes=beside_bytes,
    )
    note(str(version.name), len(next(iter(results.values()))))
    return cast("Mapping[str, NDArray[Any]]", results)


async def padded(
    engine: Engine, version: Version, verb: str, messages: Sequence[classification_pb2.Sequence], context: Context
) -> dict[str, Any]:
    """Reads the sequences of a request as inputs of `tag`.

    Padding makes many bytes of few, so nothing is padded before it is known that there are not too many sequences.

    Raises:
        GenserviceError: There are too many, or one is not as the model takes it.
    """
    model: Any = version.description
    with field_named("inputs", "sequences"):
        engine.check_size(version, verb, len(messages), flow_of(context))
    sequences = convert.sequences(messages, "sequences")
    work = work_bytes_of(sequences) + len(sequences) * model.positions
    return await aside(work, pad, model, sequences)


@contextmanager
def field_named(engine_name: str, request_name: str) -> Iterator[None]:
    """Names the field of an error as the request does, where the engine knows it by another name."""
    try:
        yield
    except GenserviceError as error:
        if error.field == engine_name or error.field.startswith(f"{engine_name}."):
            error.field = request_name + error.field.removeprefix(engine_name)
            error.message = error.message.replace(f"`{engine_name}", f"`{request_name}")
        raise
