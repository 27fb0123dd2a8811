"""ModelService and ModelAdminService through real channels."""

import json

import grpc
import pytest
from structlog.testing import capture_logs

from genservice.v1 import models_pb2, types_pb2
from genservice.v1.admin_pb2 import LoadModelRequest, SetLabelRequest, UnloadModelRequest
from genservice.v1.admin_pb2_grpc import ModelAdminServiceStub
from genservice.v1.generation_pb2 import SampleRequest
from genservice.v1.models_pb2 import GetModelRequest, ListModelsRequest, WatchModelRequest


async def test_models_are_listed_by_name_in_pages(running):
    first = await running.models.ListModels(ListModelsRequest(page_size=2))
    assert [model.name for model in first.models] == ["models/gated", "models/image"]
    rest = await running.models.ListModels(ListModelsRequest(page_size=2, page_token=first.next_page_token))
    assert [model.name for model in rest.models] == ["models/toy"]
    assert not rest.next_page_token
    assert len((await running.models.ListModels(ListModelsRequest())).models) == 3


@pytest.mark.parametrize(
    ("fields", "field"), [({"page_size": -1}, "page_size"), ({"page_token": "../x"}, "page_token")]
)
async def test_a_wrong_page_is_refused(running, refused, fields, field):
    refusal = await refused(running.models.ListModels(ListModelsRequest(**fields)))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_model_says_all_that_a_client_needs(running):
    model = (await running.models.GetModel(GetModelRequest(name="models/toy"))).model
    (version,) = model.versions
    assert model.default_version == 1
    assert version.name == "models/toy/versions/1"
    assert version.state == models_pb2.MODEL_STATE_READY
    assert (version.family, version.plugin) == ("toy", "toys 1.0")
    assert "sample" in version.verbs
    assert "shift" in json.loads(version.options_schema)["properties"]
    assert list(version.event.shape) == [3]
    assert list(version.labels) == ["circle", "square", "star"]
    assert list(version.batch_sizes) == [1, 2, 4, 8]
    assert version.determinism == types_pb2.DETERMINISM_SAME_DRAWS
    assert version.numerics


async def test_a_model_says_its_conditions_and_media(running):
    (version,) = (await running.models.GetModel(GetModelRequest(name="models/image"))).model.versions
    assert list(version.media_types) == ["image/png"]
    assert version.conditions["mean"].maximum == 1
    assert version.conditions["name"].data_type == types_pb2.DATA_TYPE_UNSPECIFIED


async def test_a_failed_version_says_why(serve, store, publish):
    number = publish(store, "toy", "none-such")
    async with serve() as running:
        model = (await running.models.GetModel(GetModelRequest(name="models/toy"))).model
        assert [version.name for version in model.versions] == ["models/toy/versions/2", "models/toy/versions/1"]
        failed = model.versions[0]
        assert failed.state == models_pb2.MODEL_STATE_FAILED
        assert "none-such" in failed.reason
        assert model.default_version == 1
        one = await running.models.GetModel(GetModelRequest(name=f"models/toy/versions/{number}"))
        assert [version.name for version in one.model.versions] == ["models/toy/versions/2"]


def truncate(folder):
    (folder / "weights").write_bytes(b"weigh")


def alter(folder):
    (folder / "weights").write_bytes(b"Weights")


def leave_half_written(folder):
    (folder / "model.toml").unlink()


BROKEN_VERSIONS = {
    "a truncated file": ({}, truncate, "weights has 5 bytes, and its model.toml says 7"),
    "an altered file": ({}, alter, "weights has another SHA-256 than its model.toml says"),
    "a half-written version": ({}, leave_half_written, "model.toml"),
    "an unknown family": ({"family": "tog"}, None, "No plugin has the family 'tog'"),
    "a version made by a newer plugin": (
        {"plugin_version": "2.0"},
        None,
        "made by toys 2.0, and toys 1.0 is installed",
    ),
}


@pytest.mark.parametrize(("made", "breaks", "reason"), BROKEN_VERSIONS.values(), ids=BROKEN_VERSIONS)
async def test_a_broken_version_fails_with_its_reason_and_the_server_goes_on(
    serve, store, publish, read_all, refused, made, breaks, reason
):
    number = publish(store, "broken", **{"family": "toy", "files": {"weights": b"weights"}, **made})
    if breaks is not None:
        breaks(store.directory("broken", number))
    with capture_logs() as logs:
        async with serve() as running:
            model = (await running.models.GetModel(GetModelRequest(name="models/broken"))).model
            (version,) = model.versions
            assert version.state == models_pb2.MODEL_STATE_FAILED
            assert reason in version.reason
            assert model.default_version == 0
            refusal = await refused(running.generation.Sample(SampleRequest(model="models/broken", sample_count=1)))
            assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_FAILED")
            messages = await read_all(running.generation.Sample(SampleRequest(model="models/toy", sample_count=1)))
            assert messages[-1].HasField("summary")
    (line,) = [entry for entry in logs if entry["event"] == "model failed"]
    assert (line["model"], line["version"], line["log_level"]) == ("broken", number, "error")
    assert line["reason"] == version.reason


async def test_an_unknown_model_is_not_found_and_the_field_is_name(running, refused):
    refusal = await refused(running.models.GetModel(GetModelRequest(name="models/toi")))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.NOT_FOUND, "name")
    watch = await refused(running.models.WatchModel(WatchModelRequest(name="models/toi")))
    assert (watch.code, watch.field) == (grpc.StatusCode.NOT_FOUND, "name")
    version = await refused(running.models.WatchModel(WatchModelRequest(name="models/toy/versions/1")))
    assert (version.code, version.field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")


@pytest.fixture
async def administered(serve, tmp_path):
    async with serve(admin_listen=f"unix:{tmp_path}/admin.sock") as running, running.admin_channel() as channel:
        running.admin = ModelAdminServiceStub(channel)
        yield running


async def test_only_the_admin_listener_has_the_admin_service(administered, refused):
    assert (await administered.admin.LoadModel(LoadModelRequest(name="models/toy"))).version.name
    on_main = ModelAdminServiceStub(administered.channel)
    refusal = await refused(on_main.LoadModel(LoadModelRequest(name="models/toy")))
    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED


async def test_the_admin_socket_is_for_its_owner_alone(administered, tmp_path):
    assert (tmp_path / "admin.sock").stat().st_mode & 0o777 == 0o600


async def state_of(watch, number, state):
    while True:
        model = (await watch.read()).model
        if any(version.name.endswith(f"/{number}") and version.state == state for version in model.versions):
            return model


async def test_a_version_is_loaded_watched_and_unloaded(administered, store, publish):
    publish(store, "toy", "toy")
    watch = administered.models.WatchModel(WatchModelRequest(name="models/toy"))
    assert len((await watch.read()).model.versions) == 1
    loading = await administered.admin.LoadModel(LoadModelRequest(name="models/toy"))
    assert loading.version.name == "models/toy/versions/2"
    assert loading.version.state == models_pb2.MODEL_STATE_LOADING
    assert (await state_of(watch, 2, models_pb2.MODEL_STATE_READY)).default_version == 2
    again = await administered.admin.LoadModel(LoadModelRequest(name="models/toy/versions/2"))
    assert again.version.state == models_pb2.MODEL_STATE_READY
    await administered.admin.UnloadModel(UnloadModelRequest(name="models/toy/versions/1"))
    await state_of(watch, 1, models_pb2.MODEL_STATE_UNLOADED)
    watch.cancel()


async def test_a_label_is_set_and_removed(administered):
    request = SetLabelRequest(name="models/toy/labels/stable", version=1)
    assert (await administered.admin.SetLabel(request)).model.labels == {"stable": 1}
    request.version = 0
    assert (await administered.admin.SetLabel(request)).model.labels == {}


async def test_wrong_administration_is_refused(administered, refused):
    admin = administered.admin
    cases = [
        (admin.LoadModel(LoadModelRequest(name="toy")), "INVALID_ARGUMENT", "name"),
        (admin.LoadModel(LoadModelRequest(name="models/toy/versions/7")), "NOT_FOUND", "name"),
        (admin.UnloadModel(UnloadModelRequest(name="models/toy")), "INVALID_ARGUMENT", "name"),
        (admin.UnloadModel(UnloadModelRequest(name="models/toy/versions/7")), "NOT_FOUND", "name"),
        (admin.SetLabel(SetLabelRequest(name="models/toy", version=1)), "INVALID_ARGUMENT", "name"),
        (admin.SetLabel(SetLabelRequest(name="models/toy/labels/a", version=-1)), "INVALID_ARGUMENT", "version"),
        (admin.SetLabel(SetLabelRequest(name="models/toy/labels/a", version=7)), "NOT_FOUND", "name"),
    ]
    for call, code, field in cases:
        refusal = await refused(call)
        assert (refusal.code.name, refusal.field) == (code, field)
