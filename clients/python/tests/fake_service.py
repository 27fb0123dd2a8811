"""A service whose every step a test can script, on a real socket."""

from concurrent import futures
from dataclasses import dataclass

import grpc

from clients.python.tests.fake_classification import FakeClassification
from clients.python.tests.fake_generation import FakeGeneration
from clients.python.tests.fake_models import FakeModels
from genservice.v1 import admin_pb2_grpc, classification_pb2_grpc, generation_pb2_grpc, models_pb2_grpc


class FakeService(FakeGeneration, FakeClassification, FakeModels):
    """All services of a server."""


@dataclass
class RunningService:
    service: FakeService
    server: grpc.Server
    target: str


def start(credentials=None, address="127.0.0.1:0"):
    server = grpc.server(futures.ThreadPoolExecutor(8))
    service = FakeService()
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(service, server)
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(service, server)
    models_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    admin_pb2_grpc.add_ModelAdminServiceServicer_to_server(service, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return RunningService(service, server, f"{address.rpartition(':')[0]}:{port}")


def stop(running):
    running.service.cancelled.set()
    running.server.stop(0).wait()
