"""What the verbs of discriminative models owe other requests: bounded work and memory, and one version an answer."""

import asyncio
import threading

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from verb_toys import Pictures, Sums, Tags, array, encoded, file_of, grey, words

from genservice import Comparer, TensorSpec
from genservice.engine.sequences import pad
from genservice.plugin_host import Family
from genservice.server.gallery import nearest
from genservice.store.store import ModelStore
from genservice.v1.classification_pb2 import (
    ClassifyRequest,
    CompareRequest,
    IdentifyRequest,
    NeighboursRequest,
    PredictRequest,
    StreamClassifyRequest,
    TagRequest,
)
from genservice.v1.generation_pb2 import SampleFilter, SampleRequest, ScoreRequest
from genservice.v1.models_pb2 import GetModelRequest
from genservice.v1.types_pb2 import OptionValue

PICTURES, TAGS, SUMS, SLOW = "models/pictures", "models/tags", "models/sums", "models/slow"


class Slow(Comparer):
    """Embeds what it gets once a gate is open; knows how many batches it has seen."""

    family = "slow"
    traced = False
    event = TensorSpec((2,))
    threshold = 1.0
    gate = threading.Event()
    entered = threading.Semaphore(0)

    def load(self, directory):
        pass

    def embed(self, inputs, options):
        self.entered.release()
        assert self.gate.wait(60)
        return inputs


@pytest.fixture
def families(gate):
    Slow.gate.set()
    yield {model.family: Family(model.family, model, "toys", "1.0") for model in (Pictures, Tags, Sums, Slow)}
    Slow.gate.set()


@pytest.fixture
def store(tmp_path, publish):
    store = ModelStore([tmp_path / "store"])
    for family in ("pictures", "tags", "sums", "slow"):
        publish(store, family, family)
    return store


async def test_a_model_that_only_predicts_needs_no_event(running):
    version = (await running.models.GetModel(GetModelRequest(name=SUMS))).model.versions[0]
    assert not version.HasField("event")
    assert MessageToDict(version)["verbs"] == ["predict"]
    assert not version.features


async def test_a_few_neighbours_of_many_rows_can_be_had_where_many_of_each_cannot(serve, inputs, refused):
    async with serve(engine={"max_answer_bytes": 1000}) as running:
        few = NeighboursRequest(model=PICTURES, inputs=inputs(grey(*[0] * 40)), k=1)
        response = await running.classification.Neighbours(few)
        assert list(response.indexes.shape) == [40, 1]
        many = NeighboursRequest(model=PICTURES, inputs=inputs(grey(*[0] * 40)), k=7)
        refusal = await refused(running.classification.Neighbours(many))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.OUT_OF_RANGE, "inputs")


@pytest.mark.parametrize("verb", ["Tag", "Score"])
async def test_too_many_sequences_are_refused_before_any_is_padded(serve, refused, monkeypatch, verb):
    def unwanted(*arguments):
        raise AssertionError("it was padded")

    monkeypatch.setattr("genservice.server.calls.pad", unwanted)
    sequences = [words("a")] * 30
    async with serve(engine={"max_call_rows": 20}) as running:
        if verb == "Tag":
            call = running.classification.Tag(TagRequest(model=TAGS, sequences=sequences))
        else:
            call = running.generation.Score(ScoreRequest(model=TAGS, sequences=sequences))
        refusal = await refused(call)
    assert (refusal.code, refusal.field) == (grpc.StatusCode.OUT_OF_RANGE, "sequences")
    assert "`sequences` has 30 rows" in refusal.message


async def test_long_work_on_sequences_is_done_beside_the_event_loop(running, monkeypatch):
    threads = []

    def noting(*arguments):
        threads.append(threading.current_thread())
        return pad(*arguments)

    monkeypatch.setattr("genservice.server.calls.pad", noting)
    for count in (2, 400):
        response = await running.classification.Tag(TagRequest(model=TAGS, sequences=[words("a", "b")] * count))
        assert len(response.taggings) == count
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


async def test_a_comparison_is_answered_by_one_version_though_that_is_unloaded_meanwhile(serve, inputs):
    async with serve() as running:
        Slow.gate.clear()
        while Slow.entered.acquire(blocking=False):
            pass
        request = CompareRequest(model=SLOW, inputs=inputs([[0, 0]]), others=inputs([[3, 4]]))
        call = running.classification.Compare(request)
        answer = asyncio.ensure_future(call)
        await asyncio.to_thread(Slow.entered.acquire)
        running.engine.unload(running.engine.catalog.versions("slow")[0].name)
        Slow.gate.set()
        response = await answer
    assert array(response.distances).tolist() == [5]
    assert response.model == "models/slow/versions/1"


async def test_image_files_are_classified_in_a_stream_and_a_bad_one_ends_it_with_its_path(running, refused):
    requests = [ClassifyRequest(model=PICTURES, inputs=encoded(file_of(np.full((4, 3), value)))) for value in (0, 255)]
    stream = running.classification.StreamClassify(StreamClassifyRequest(request=each) for each in requests)
    dark, light = [array(each.response.probabilities)[0].argmax() async for each in stream]
    assert (dark, light) == (0, 1)
    requests.append(ClassifyRequest(model=PICTURES, inputs=encoded(b"x")))
    stream = running.classification.StreamClassify(StreamClassifyRequest(request=each) for each in requests)
    refusal = await refused(stream)
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "request.inputs")


async def test_an_unknown_signature_is_refused_with_one_that_it_may_mean(running, refused, tensor):
    request = PredictRequest(model=SUMS, signature="cuont", inputs={"a": tensor([[1, 2]])})
    refusal = await refused(running.classification.Predict(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "signature")
    assert "count" in refusal.message


async def test_a_call_without_inputs_is_refused(running, refused):
    refusal = await refused(running.classification.Predict(PredictRequest(model=SUMS)))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "inputs.a")


async def test_the_filters_options_keep_their_names_in_errors(running, refused):
    rule = SampleFilter(classifier=PICTURES, label="dark", options={"model": OptionValue()})
    refusal = await refused(running.generation.Sample(SampleRequest(model=PICTURES, sample_count=1, filter=rule)))
    assert refusal.field == "filter.options.model"


async def test_a_gallery_counts_among_the_bytes_that_a_request_holds(serve, inputs, tensor, refused):
    async with serve(engine={"max_held_bytes": 4096}) as running:
        request = IdentifyRequest(
            model=SLOW, inputs=inputs([[0, 0]]), gallery=tensor(np.zeros((400, 2))), names=["Ann"] * 400
        )
        refusal = await refused(running.classification.Identify(request))
        assert refusal.code == grpc.StatusCode.OUT_OF_RANGE
        del request.names[10:]
        request.gallery.CopyFrom(tensor(np.zeros((10, 2))))
        assert (await running.classification.Identify(request)).names == ["Ann"]


@pytest.mark.parametrize(("count", "entries", "dimensions"), [(1, 1, 1), (3, 50, 8), (700, 3000, 4)])
async def test_the_nearest_entries_are_those_that_a_plain_search_finds(count, entries, dimensions):
    random = np.random.default_rng(count)
    gallery = random.normal(size=(entries, dimensions)).astype(np.float32)
    gallery[entries // 2 :] = gallery[: entries - entries // 2]
    rows = np.concatenate([gallery[random.integers(0, entries, count // 2)], random.normal(size=(count, dimensions))])
    rows = rows.astype(np.float32)
    places, distances = await nearest(rows, gallery)
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - gallery, axis=2)
    np.testing.assert_array_equal(places, apart.argmin(axis=1))
    np.testing.assert_allclose(distances, apart.min(axis=1), rtol=1e-6)
    assert (distances[: count // 2] == 0).all()


async def test_an_answer_that_grows_with_its_inputs_is_bounded_too(serve, tensor, refused):
    async with serve(engine={"max_answer_bytes": 1000}) as running:
        request = PredictRequest(model=SUMS, signature="count", inputs={"a": tensor(np.zeros((1, 300)))})
        refusal = await refused(running.classification.Predict(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.OUT_OF_RANGE, "inputs")
    assert "1208 bytes" in refusal.message
