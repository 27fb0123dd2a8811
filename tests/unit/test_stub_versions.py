"""The stubs import under the oldest protobuf that is supported, and under the newest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
from google.protobuf import __version__
from genservice.v1 import admin_pb2_grpc, classification_pb2_grpc, generation_pb2, generation_pb2_grpc, models_pb2_grpc
request = generation_pb2.SampleRequest(model="models/m", seed=2**64 - 1)
assert generation_pb2.SampleRequest.FromString(request.SerializeToString()) == request
print(__version__)
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.31.1", "6.33.6", "7.36.2"])
def test_the_stubs_import_under_protobuf(version, tmp_path):
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, f"protobuf=={version}"],
        capture_output=True,
        text=True,
    )
    if fetched.returncode:
        pytest.skip(f"protobuf {version} cannot be fetched here: {fetched.stderr.strip().splitlines()[-1]}")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == version
