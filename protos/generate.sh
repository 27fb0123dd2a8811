#!/usr/bin/env bash
# Generates genservice/v1 with the protoc of the oldest protobuf (6.31.1) and grpcio (1.74) that are supported, so that the
# stubs import under all newer ones. The protobuf runtime below only runs the plugin that writes the type stubs.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-proto
if [ ! -x $venv/bin/python ]; then
  python3 -m venv $venv
  $venv/bin/pip install --quiet grpcio-tools==1.74.0 grpcio==1.74.0 protobuf==6.33.6 mypy-protobuf==5.1.0
fi
PATH="$PWD/$venv/bin:$PATH" $venv/bin/python -m grpc_tools.protoc --proto_path=protos \
  --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. protos/genservice/v1/*.proto
