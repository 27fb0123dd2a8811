"""grpc.health.v1 and reflection through a real channel."""

import asyncio

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

SERVING, NOT_SERVING, UNKNOWN = (
    HealthCheckResponse.SERVING,
    HealthCheckResponse.NOT_SERVING,
    HealthCheckResponse.SERVICE_UNKNOWN,
)


@pytest.mark.parametrize("service", ["", "toy", "genservice.v1.GenerationService", "genservice.v1.ModelService"])
async def test_what_is_ready_serves(running, service):
    health = HealthStub(running.channel)
    assert (await health.Check(HealthCheckRequest(service=service))).status == SERVING


async def test_an_unknown_service_is_not_found_and_is_watched_as_unknown(running, refused):
    health = HealthStub(running.channel)
    refusal = await refused(health.Check(HealthCheckRequest(service="models/toy")))
    assert refusal.code == grpc.StatusCode.NOT_FOUND
    watch = health.Watch(HealthCheckRequest(service="nobody"))
    assert (await watch.read()).status == UNKNOWN
    watch.cancel()


async def test_a_watcher_hears_that_the_service_becomes_ready_and_drains(serve, gate):
    gate.shut()
    async with serve(loaded=False) as running:
        health = HealthStub(running.channel)
        watch = health.Watch(HealthCheckRequest())
        assert (await watch.read()).status == NOT_SERVING
        gate.open()
        assert (await watch.read()).status == SERVING
        draining = asyncio.create_task(running.server.drain())
        assert (await watch.read()).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await watch.read()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        await draining


async def test_a_required_model_that_failed_keeps_the_service_from_serving(serve, store, publish):
    publish(store, "broken", "none-such")
    async with serve(engine={"required_models": ("broken",)}) as running:
        health = HealthStub(running.channel)
        assert (await health.Check(HealthCheckRequest())).status == NOT_SERVING
        assert (await health.Check(HealthCheckRequest(service="broken"))).status == NOT_SERVING
        assert (await health.Check(HealthCheckRequest(service="toy"))).status == SERVING


async def test_a_failed_model_that_is_not_required_leaves_the_service_ready(serve, store, publish):
    publish(store, "broken", "none-such")
    async with serve() as running:
        assert (await HealthStub(running.channel).Check(HealthCheckRequest())).status == SERVING


async def services_of(channel):
    call = ServerReflectionStub(channel).ServerReflectionInfo(iter([ServerReflectionRequest(list_services="*")]))
    return {service.name async for response in call for service in response.list_services_response.service}


async def test_reflection_lists_the_services(running):
    assert await services_of(running.channel) == {
        "genservice.v1.ClassificationService",
        "genservice.v1.GenerationService",
        "genservice.v1.ModelService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_reflection_gives_the_messages(running):
    request = ServerReflectionRequest(file_containing_symbol="genservice.v1.SampleRequest")
    call = ServerReflectionStub(running.channel).ServerReflectionInfo(iter([request]))
    (response,) = [response async for response in call]
    assert response.file_descriptor_response.file_descriptor_proto


async def test_the_admin_listener_lists_the_admin_service_alone(serve):
    async with serve(admin_listen="127.0.0.1:0") as running, running.admin_channel() as channel:
        assert await services_of(channel) == {
            "genservice.v1.ModelAdminService",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_reflection_can_be_switched_off(serve):
    async with serve(reflection=False) as running:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await services_of(running.channel)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
