"""The generated stubs are those of the protos."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(ROOT / "protos").as_posix() for path in (ROOT / "protos").rglob("*.proto"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    image = tmp_path_factory.mktemp("buf") / "image.binpb"
    buf = Path(sys.executable).with_name("buf")
    assert buf.exists(), "buf is not installed: it comes with the extra `dev`"
    command = [buf, "build", "protos", "--exclude-source-info", "--as-file-descriptor-set", "-o", image]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return {file.name: file for file in FileDescriptorSet.FromString(image.read_bytes()).file}


def module_of(file, suffix):
    return importlib.import_module(file.removesuffix(".proto").replace("/", ".") + suffix)


@pytest.mark.parametrize("file", FILES)
def test_the_messages_are_those_of_the_protos(built, file):
    generated = FileDescriptorProto()
    module_of(file, "_pb2").DESCRIPTOR.CopyToProto(generated)
    expected = built[file]
    for descriptor in (generated, expected):
        for field in all_fields(descriptor):
            field.ClearField("json_name")
    assert generated == expected


@pytest.mark.parametrize("file", FILES)
def test_the_services_are_those_of_the_protos(built, file):
    stubs = module_of(file, "_pb2_grpc")
    for service in built[file].service:
        for kind in ("Servicer", "Stub"):
            assert hasattr(stubs, service.name + kind)
        methods = {name for name in vars(getattr(stubs, f"{service.name}Servicer")) if not name.startswith("_")}
        assert methods == {method.name for method in service.method}


@pytest.mark.parametrize("file", FILES)
def test_servers_read_the_requests_of_the_protos_and_stream_as_they_say(built, file):
    stubs = module_of(file, "_pb2_grpc")
    for service in built[file].service:
        server = Registered()
        servicer = getattr(stubs, f"{service.name}Servicer")()
        getattr(stubs, f"add_{service.name}Servicer_to_server")(servicer, server)
        expected = {
            method.name: (method.input_type, method.client_streaming, method.server_streaming)
            for method in service.method
        }
        ((name, handlers),) = server.services.items()
        assert name == f"{built[file].package}.{service.name}"
        found = {
            method: (
                type_read_by(handler.request_deserializer),
                bool(handler.request_streaming),
                bool(handler.response_streaming),
            )
            for method, handler in handlers.items()
        }
        assert found == expected


@pytest.mark.parametrize("file", FILES)
def test_clients_read_the_responses_of_the_protos_and_stream_as_they_say(built, file):
    stubs = module_of(file, "_pb2_grpc")
    for service in built[file].service:
        channel = Asked()
        getattr(stubs, f"{service.name}Stub")(channel)
        assert channel.methods == {
            f"/{built[file].package}.{service.name}/{method.name}": (
                method.output_type,
                method.client_streaming,
                method.server_streaming,
            )
            for method in service.method
        }


class Registered:
    """Stands in for a server, and keeps the handlers that are added to it. What they write cannot be seen: all messages
    share one method that serializes."""

    def __init__(self):
        self.services = {}

    def add_generic_rpc_handlers(self, handlers):
        pass

    def add_registered_method_handlers(self, service, handlers):
        self.services[service] = handlers


class Asked:
    """Stands in for a channel, and keeps what is read and how it streams, by the path of the method."""

    def __init__(self):
        self.methods = {}

    def _method(self, client_streaming, server_streaming):
        def ask(path, *, response_deserializer, **_):
            self.methods[path] = (type_read_by(response_deserializer), client_streaming, server_streaming)

        return ask

    unary_unary = property(lambda self: self._method(False, False))
    unary_stream = property(lambda self: self._method(False, True))
    stream_unary = property(lambda self: self._method(True, False))
    stream_stream = property(lambda self: self._method(True, True))


def type_read_by(deserializer):
    return f".{deserializer(b'').DESCRIPTOR.full_name}"


def all_fields(descriptor):
    messages = list(descriptor.message_type)
    while messages:
        message = messages.pop()
        yield from message.field
        messages += message.nested_type
