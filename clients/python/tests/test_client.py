import asyncio
import gc

import grpc
import numpy as np
import pytest

import genservice_client as gc_client
from genservice.v1 import models_pb2

INPUTS = np.arange(6, dtype=np.float32).reshape(6, 1)


async def test_classify_names_every_label(side, client, service):
    result = await side.call(client.classify("digits", INPUTS, temperature=2.0))
    assert result.model == "models/digits/versions/3"
    assert (result.probabilities.dtype, result.probabilities.shape, len(result)) == (np.float32, (6, 3), 6)
    assert result.labels == ("zero", "one", "two")
    assert result.predicted == ["zero", "one", "two"] * 2
    assert result.top(2)[1] == [("one", pytest.approx(0.8)), ("zero", pytest.approx(0.1))]
    assert len(result.top(9)[0]) == 3
    assert service.requests["Classify"][0].options["temperature"].double_value == 2.0


async def test_labels_of_a_version_are_asked_for_once(side, client, service):
    for _ in range(3):
        await side.call(client.classify("digits", INPUTS))
    assert [request.name for request in service.requests["GetModel"]] == ["models/digits/versions/3"]


async def test_with_top_k_the_server_names_the_labels(side, client, service):
    result = await side.call(client.classify("digits", INPUTS, top_k=1))
    assert not service.requests["GetModel"]
    assert result.predicted == ["zero", "one", "two"] * 2
    with pytest.raises(ValueError, match="only the 1 best"):
        result.top(2)
    with pytest.raises(ValueError, match="at least 1"):
        result.top(0)


async def test_many_rows_go_in_several_requests_to_one_version(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=4))
    result = await side.call(client.classify("digits", INPUTS))
    assert result.predicted == ["zero", "one", "two"] * 2
    assert [request.inputs.tensor.shape[0] for request in service.requests["Classify"]] == [4, 2]
    assert [request.model for request in service.requests["Classify"]] == ["models/digits", "models/digits/versions/3"]


async def test_score_embed_encode_and_decode_give_arrays(side, running):
    client = side.client(running.target, limits=gc_client.Limits(max_request_bytes=8))
    score = await side.call(client.score("digits", INPUTS))
    assert score.log_prob.tolist() == (-INPUTS[:, 0]).tolist()
    assert score.kind is gc_client.ScoreKind.LOWER_BOUND
    for method in (client.embed, client.encode, client.decode):
        assert np.array_equal(await side.call(method("digits", INPUTS)), INPUTS)


async def test_strings_are_inputs_too(side, client, service):
    result = await side.call(client.classify("digits", ["good", "bad"]))
    assert len(result) == 2
    assert list(service.requests["Classify"][0].inputs.strings.rows) == ["good", "bad"]


async def test_models_are_listed_over_all_pages(side, client):
    assert [model.name for model in await side.call(client.models())] == ["models/a", "models/b"]


def test_a_version_that_only_predicts_has_no_event():
    assert gc_client.VersionInfo.from_message(models_pb2.ModelVersion(name="models/sums/versions/1")).event is None


async def test_a_model_tells_all_about_its_versions(side, client, service):
    model = await side.call(client.model("digits:stable"))
    assert service.requests["GetModel"][0].name == "models/digits/labels/stable"
    assert (model.name, model.labels, model.default_version) == ("models/digits", {"stable": 3}, 3)
    version = model.version(3)
    assert (version.number, version.state, version.verbs) == (3, "READY", ("sample",))
    assert version.options_schema == {"type": "object"}
    assert (version.event.shape, version.event.minimum) == ((3,), -1)
    assert version.conditions["prompt"].dtype is None
    assert (version.conditions["prompt"].optional, version.event.optional) == (True, False)
    assert (version.rows_per_second, version.features) == ({"sample": 1500.0}, ("preview",))
    assert (version.positions, version.reference_rows, version.threshold) == (40, 100, 1.5)
    assert version.signatures == {"serve": gc_client.Signature({"x": version.event}, {"y": version.event})}
    assert version.default_signature == "serve"
    assert model.answering is version
    assert (version.determinism, version.batch_sizes, version.card) == ("SAME_DRAWS", (1, 8), "# Digits")
    with pytest.raises(KeyError, match="no version 4"):
        model.version(4)


async def test_watching_goes_on_after_a_cut_and_ends_when_it_is_left(side, client, service):
    models = await side.collect(client.watch_model("digits"), limit=2)
    assert [model.versions[0].state for model in models] == ["LOADING", "READY"]
    gc.collect()
    await asyncio.sleep(0)
    assert await asyncio.to_thread(service.cancelled.wait, 5)


async def test_a_stream_of_inputs_is_answered_in_order(side, client):
    results = await side.collect(client.stream_classify("digits", (INPUTS[i : i + 2] for i in range(5))))
    assert [result.predicted[0] for result in results] == ["zero", "one", "two", "zero", "one"]
    assert {len(result) for result in results} == {2}


async def test_a_stream_of_inputs_goes_on_after_a_cut(side, client, service, cut):
    service.failures["StreamClassify"].extend([cut(), cut()])
    results = await side.collect(client.stream_classify("digits", [INPUTS[i : i + 1] for i in range(6)], top_k=1))
    assert [result.predicted[0] for result in results] == ["zero", "one", "two"] * 2


async def test_a_live_source_is_answered_at_once(side, client):
    sent = []

    def source():
        for i in range(3):
            sent.append(i)
            yield INPUTS[i : i + 1]

    results = await side.collect(client.stream_classify("digits", source(), in_flight=1), limit=1)
    assert len(results) == 1
    assert sent == [0]


async def test_an_asynchronous_source_is_taken(running):
    async def source():
        for i in range(3):
            yield INPUTS[i : i + 1]

    async with gc_client.AsyncClient(running.target) as client:
        results = [result.predicted async for result in client.stream_classify("digits", source())]
    assert results == [["zero"], ["one"], ["two"]]


async def test_a_source_that_breaks_ends_the_stream_with_its_own_error(side, client):
    def source():
        yield INPUTS
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await side.collect(client.stream_classify("digits", source()))


async def test_unary_calls_are_made_again(side, client, service, cut, clock):
    service.failures["Embed"].extend([cut(), cut(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_s=3)])
    assert len(await side.call(client.embed("digits", INPUTS))) == 6
    assert clock.sleeps == [pytest.approx(0.1), pytest.approx(3.2)]


async def test_calls_go_round_the_replicas(side, another_service):
    replicas = [another_service() for _ in range(3)]
    client = side.client(",".join(replica.target for replica in replicas))
    for _ in range(6):
        await side.call(client.embed("digits", INPUTS))
    assert [len(replica.service.requests["Embed"]) for replica in replicas] == [2, 2, 2]


async def test_a_call_that_fails_goes_to_the_next_replica_at_once(side, another_service, cut, clock):
    replicas = [another_service() for _ in range(2)]
    client = side.client([replica.target for replica in replicas])
    replicas[0].service.failures["Embed"].append(cut(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_s=100))
    assert len(await side.call(client.embed("digits", INPUTS))) == 6
    assert clock.sleeps == []
    # It rests: the other one is asked, though it is not its turn.
    await side.call(client.embed("digits", INPUTS))
    assert [len(replica.service.requests["Embed"]) for replica in replicas] == [1, 2]


async def test_a_round_of_failures_is_followed_by_a_wait_and_counts_as_one_attempt(side, another_service, cut, clock):
    replicas = [another_service() for _ in range(2)]
    client = side.client([replica.target for replica in replicas], retry=gc_client.RetryPolicy(max_attempts=2))
    for replica in replicas:
        replica.service.failures["Embed"].extend([cut()] * 5)
    with pytest.raises(gc_client.UnavailableError):
        await side.call(client.embed("digits", INPUTS))
    assert clock.sleeps == [pytest.approx(0.1)]
    assert sum(len(replica.service.requests["Embed"]) for replica in replicas) == 3 + 1


async def test_attempts_are_bounded(side, running, service, cut, clock):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=3))
    service.failures["Embed"].extend([cut()] * 9)
    with pytest.raises(gc_client.UnavailableError):
        await side.call(client.embed("digits", INPUTS))
    assert len(service.requests["Embed"]) == 3


async def test_a_wait_beyond_the_deadline_is_not_begun(side, client, service, cut, clock):
    service.failures["Embed"].extend([cut(retry_after_s=20)] * 9)
    with pytest.raises(gc_client.UnavailableError):
        await side.call(client.embed("digits", INPUTS, timeout_s=30))
    assert clock.sleeps == [pytest.approx(20.1)]


async def test_errors_that_will_not_pass_are_raised_at_once(side, client, service, cut):
    service.failures["Embed"].append(cut(grpc.StatusCode.UNIMPLEMENTED, reason="VERB_NOT_SUPPORTED"))
    with pytest.raises(gc_client.UnimplementedError) as caught:
        await side.call(client.embed("digits", INPUTS))
    assert caught.value.reason == "VERB_NOT_SUPPORTED"
    assert len(service.requests["Embed"]) == 1


async def test_a_server_that_is_not_there_is_unavailable(side):
    client = side.client("127.0.0.1:1", retry=gc_client.RetryPolicy(max_attempts=2))
    with pytest.raises(gc_client.UnavailableError):
        await side.call(client.models())
    assert len(side.clock.sleeps) == 1


async def test_metadata_goes_with_every_call(side, running, service):
    client = side.client(running.target, metadata={"authorization": "Bearer x"})
    await side.call(client.embed("digits", INPUTS))
    await side.collect(client.sample("digits", 1))
    assert [metadata["authorization"] for metadata in service.metadata] == ["Bearer x"] * 2


async def test_a_version_that_one_replica_lacks_is_asked_for_at_another(side, another_service, cut, clock):
    replicas = [another_service() for _ in range(2)]
    client = side.client([replica.target for replica in replicas], limits=gc_client.Limits(max_request_rows=3))
    missing = cut(grpc.StatusCode.NOT_FOUND, reason="NOT_FOUND")
    replicas[1].service.failures["Classify"].append(missing)
    replicas[1].service.failures["GetModel"].append(missing)
    assert (await side.call(client.classify("digits", INPUTS))).predicted == ["zero", "one", "two"] * 2
    assert clock.sleeps == []


async def test_a_model_that_is_not_there_is_not_looked_for_everywhere(side, another_service, cut):
    replicas = [another_service() for _ in range(2)]
    client = side.client([replica.target for replica in replicas])
    replicas[0].service.failures["Classify"].append(cut(grpc.StatusCode.NOT_FOUND, reason="NOT_FOUND"))
    with pytest.raises(gc_client.NotFoundError):
        await side.call(client.classify("digits", INPUTS))
    assert not replicas[1].service.requests["Classify"]


async def test_priority_and_share_are_sent_where_they_are_given(side, running, service):
    client = side.client(running.target, priority="low", caller_share="nightly")
    await side.call(client.embed("digits", INPUTS))
    await side.call(client.embed("digits", INPUTS, priority="high"))
    await side.collect(client.sample("digits", 1, priority="normal"))
    await side.collect(client.stream_classify("digits", [INPUTS], top_k=1, priority="high"))
    assert [metadata["genservice-priority"] for metadata in service.metadata] == ["low", "high", "normal", "high"]
    assert {metadata["genservice-caller"] for metadata in service.metadata} == {"nightly"}


async def test_neither_is_sent_by_default(side, client, service):
    await side.call(client.embed("digits", INPUTS))
    assert not {"genservice-priority", "genservice-caller"} & service.metadata[0].keys()


async def test_a_priority_that_does_not_exist_is_refused_before_a_call(side, client, service):
    with pytest.raises(ValueError, match="priority is 'urgent'; it must be one of low, normal, high"):
        await side.call(client.embed("digits", INPUTS, priority="urgent"))
    with pytest.raises(ValueError, match="priority is 'urgent'"):
        client.sample("digits", 1, priority="urgent")
    assert not service.metadata


async def test_a_closed_client_says_so(side, running):
    client = side.client(running.target)
    await side.call(client.close())
    await side.call(client.close())
    with pytest.raises(gc_client.ClientClosedError):
        await side.call(client.models())


async def test_an_asynchronous_client_can_be_made_without_a_loop(running):
    client = await asyncio.to_thread(gc_client.AsyncClient, running.target)
    async with client:
        assert len(await client.models()) == 2


async def test_the_admin_client_loads_unloads_and_labels(side, running, service):
    admin = side.admin(running.target)
    assert (await side.call(admin.load_model("digits@3"))).state == "LOADING"
    assert (await side.call(admin.unload_model("digits@3"))).state == "DRAINING"
    assert (await side.call(admin.set_label("digits:stable", 3))).name == "models/digits"
    await side.call(admin.set_label("digits:stable", None))
    assert service.requests["LoadModel"][0].name == "models/digits/versions/3"
    assert [(request.name, request.version) for request in service.requests["SetLabel"]] == [
        ("models/digits/labels/stable", 3),
        ("models/digits/labels/stable", 0),
    ]
    with pytest.raises(ValueError, match="at least 1"):
        await side.call(admin.set_label("digits:stable", 0))
