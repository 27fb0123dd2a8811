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
    if not buf.exists():
        pytest.skip("buf is not installed")
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


def all_fields(descriptor):
    messages = list(descriptor.message_type)
    while messages:
        message = messages.pop()
        yield from message.field
        messages += message.nested_type
