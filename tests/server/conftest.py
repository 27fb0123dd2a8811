"""A real server on a free port, over models of a few lines on NumPy."""

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from pydantic import Field

from genservice import Classifier, Embedder, Generator, Label, Latent, Options, Scorer, Static, TensorSpec
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.settings import EngineSettings
from genservice.plugin_host import Family
from genservice.server.server import Server
from genservice.server.settings import ServerSettings
from genservice.store.manifest import Manifest, Serving
from genservice.store.store import ModelStore
from genservice.telemetry.observer import Telemetry
from genservice.v1 import types_pb2
from genservice.v1.classification_pb2_grpc import ClassificationServiceStub
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.models_pb2_grpc import ModelServiceStub


class ToyOptions(Options):
    label: Label = -1
    shift: Annotated[float, Field(ge=-10, le=10)] = 0.0
    steps: int = 1
    mode: Annotated[Literal["plain", "negative"], Static()] = "plain"


class Toy(Generator, Classifier, Embedder, Scorer, Latent):
    """Has every verb; raises for a shift of 6, with a text that no client may see."""

    family = "toy"
    traced = False
    Options = ToyOptions
    event = TensorSpec((3,), minimum=-100, maximum=100)
    latent = TensorSpec((2,))
    labels = ("circle", "square", "star")

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        if 6 in options.shift:
            raise RuntimeError("secret")
        return (noise.normal("z", (3,)) + options.shift[:, None]).astype(np.float32)

    def logits(self, inputs, options):
        return inputs

    def embed(self, inputs, options):
        return inputs * 2

    def log_prob(self, inputs, options):
        return -np.square(inputs).sum(axis=1)

    def encode(self, inputs, options):
        return inputs[:, :2]

    def decode(self, latents, options):
        return np.concatenate([latents, latents[:, :1]], axis=1)


MEAN, NAME = TensorSpec((1,), minimum=-1, maximum=1), TensorSpec((), "string")


class Image(Generator):
    """Bounded images with two conditions."""

    family = "image"
    traced = False
    event = TensorSpec((4, 4, 1), minimum=-1, maximum=1)
    conditions = MappingProxyType({"mean": MEAN, "name": NAME})
    media_types = ("image/png",)

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        return np.tanh(noise.normal("z", (4, 4, 1)) + conditions["mean"][:, :, None, None])


class Gated(Generator, Classifier):
    """Waits at a gate that the test shuts and opens."""

    family = "gated"
    traced = False
    event = TensorSpec((2,))
    labels = ("a", "b")
    gate: "Gate"

    def load(self, directory):
        self.gate.pass_through()

    def sample(self, noise, options, conditions):
        self.gate.pass_through()
        return noise.normal("z", (2,))

    def logits(self, inputs, options):
        self.gate.pass_through()
        return inputs


class Gate:
    """Stops the model's thread while it is shut."""

    def __init__(self):
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Semaphore(0)

    def shut(self):
        self._entered = threading.Semaphore(0)
        self._open.clear()

    def open(self):
        self._open.set()

    def pass_through(self):
        self._entered.release()
        self._open.wait()

    async def entered(self):
        """Waits until the model stands at the gate."""
        await asyncio.to_thread(self._entered.acquire)


class Told(Telemetry):
    """Telemetry that remembers how rows ended, and that can be waited for."""

    def __init__(self):
        super().__init__()
        self.outcomes = []
        self.admissions = 0
        self._news = asyncio.Condition()
        self._tasks = set()

    def admitted(self, model, version, verb, rows):
        super().admitted(model, version, verb, rows)
        self.admissions += 1
        self._tell()

    def rows_ended(self, model, version, verb, outcome, rows):
        super().rows_ended(model, version, verb, outcome, rows)
        self.outcomes.append((model, verb, outcome))
        self._tell()

    def queue_changed(self, model, version, queued_rows, running_rows):
        super().queue_changed(model, version, queued_rows, running_rows)
        self._tell()

    def state_changed(self, model, version, state, reason):
        super().state_changed(model, version, state, reason)
        self._tell()

    async def until(self, condition):
        async with self._news:
            await self._news.wait_for(condition)

    def _tell(self):
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self):
        async with self._news:
            self._news.notify_all()


@dataclass
class Running:
    """A server, and stubs of its services."""

    engine: Engine
    server: Server
    told: Told
    channel: grpc.aio.Channel
    store: ModelStore

    def __post_init__(self):
        self.generation: Any = GenerationServiceStub(self.channel)
        self.classification: Any = ClassificationServiceStub(self.channel)
        self.models: Any = ModelServiceStub(self.channel)
        self.admin: Any = None

    def admin_channel(self):
        return grpc.aio.insecure_channel(str(self.server.bound.admin))

    def value(self, name, **labels):
        return self.told.registry.get_sample_value(name, {key: str(value) for key, value in labels.items()})


@pytest.fixture
def gate():
    gate = Gate()
    Gated.gate = gate
    yield gate
    gate.open()


@pytest.fixture
def families(gate):
    models = (Toy, Image, Gated)
    return {model.family: Family(model.family, model, "toys", "1.0") for model in models}


@pytest.fixture
def store(tmp_path):
    store = ModelStore([tmp_path / "store"])
    for family in ("toy", "image", "gated"):
        publish_version(store, family, family)
    return store


def publish_version(store, name, family, *, files=None, plugin_version="1.0", **serving):
    def build(directory):
        for file, content in (files or {}).items():
            (directory / file).write_bytes(content)
        return Manifest(
            family=family,
            plugin="toys",
            plugin_version=plugin_version,
            serving=Serving(**{"max_batch_rows": 8, **serving}),
        )

    return store.publish(name, build)


@pytest.fixture
def publish():
    return publish_version


@pytest.fixture
def serve(store, families, gate):
    """Starts a server: `async with serve(server settings, engine={engine settings}) as running`."""

    @asynccontextmanager
    async def start(*, engine=None, loaded=True, credentials=None, **settings):
        async with AsyncExitStack() as stack:
            told = Told()
            engine_settings = EngineSettings(**(engine or {}))
            core = Engine(store, families, inline_workers(engine_settings), engine_settings, observer=told)
            core.start()
            stack.push_async_callback(core.stop)
            server = Server(
                core,
                ServerSettings(**{"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0", **settings}),
                metrics=told,
            )
            await server.start()
            stack.push_async_callback(server.close)
            if loaded:
                await core.started()
            if credentials is None:
                channel = grpc.aio.insecure_channel(server.address)
            else:
                channel = grpc.aio.secure_channel(server.address.replace("127.0.0.1", "localhost"), credentials)
            await stack.enter_async_context(channel)
            # A model that stands at the gate would keep the engine from ending.
            stack.callback(gate.open)
            yield Running(core, server, told, channel, store)

    return start


@pytest.fixture
async def running(serve):
    async with serve() as running:
        yield running


class Refusal:
    """An error as a client sees it.

    Args:
        error: What the call raised.
        details_of: Reads the details of a status that are of one type.
    """

    def __init__(self, error, details_of):
        self.code = error.code()
        self.message = error.details()
        trailing = dict(error.trailing_metadata() or ())
        self.status = Status.FromString(trailing.get("grpc-status-details-bin", b""))
        kinds = {
            "info": error_details_pb2.ErrorInfo,
            "bad": error_details_pb2.BadRequest,
            "retry": error_details_pb2.RetryInfo,
        }
        for name, kind in kinds.items():
            setattr(self, name, next(iter(details_of(self.status, kind)), None))

    @property
    def field(self):
        return self.bad.field_violations[0].field if self.bad else ""


async def read_all(call):
    return [message async for message in call]


@pytest.fixture
def refused(details_of):
    """Waits for a call that is refused, unary or a stream."""

    async def refusal_of(call):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await (read_all(call) if hasattr(call, "__aiter__") else call)
        return Refusal(raised.value, details_of)

    return refusal_of


@pytest.fixture(name="read_all")
def read_all_fixture():
    return read_all


def tensor_of(values, dtype="float32", **replaced):
    array = np.asarray(values, dtype)
    message = types_pb2.Tensor(
        data_type=types_pb2.DataType.Value(f"DATA_TYPE_{dtype.upper()}"), shape=array.shape, data=array.tobytes()
    )
    for name, value in replaced.items():
        if name == "shape":
            del message.shape[:]
            message.shape.extend(value)
        else:
            setattr(message, name, value)
    return message


@pytest.fixture
def tensor():
    return tensor_of


@pytest.fixture
def inputs():
    return lambda *values, **replaced: types_pb2.Condition(tensor=tensor_of(*values, **replaced))
