"""Compare, Identify, Neighbours, Tag, Score of labellings, Predict and image files, through a real channel."""

import asyncio
import struct
import zlib

import grpc
import numpy as np
import pytest
from verb_toys import Pictures, Sums, Tags, array, encoded, file_of, grey, words

from genservice.plugin_host import Family
from genservice.store.store import ModelStore
from genservice.v1.classification_pb2 import (
    ClassifyRequest,
    CompareRequest,
    EmbedRequest,
    IdentifyRequest,
    NeighboursRequest,
    PredictRequest,
    Sequence,
    TagRequest,
)
from genservice.v1.generation_pb2 import ScoreRequest
from genservice.v1.models_pb2 import GetModelRequest
from genservice.v1.types_pb2 import StringRows

PICTURES, TAGS, SUMS = "models/pictures", "models/tags", "models/sums"


@pytest.fixture
def families(gate):
    return {model.family: Family(model.family, model, "toys", "1.0") for model in (Pictures, Tags, Sums)}


@pytest.fixture
def store(tmp_path, publish):
    store = ModelStore([tmp_path / "store"])
    for family in ("pictures", "tags", "sums"):
        publish(store, family, family)
    return store


async def test_pairs_are_compared_by_the_distance_of_their_embeddings(running, inputs):
    request = CompareRequest(model=PICTURES, inputs=inputs(grey(0, 0)), others=inputs(grey(0.1, -0.5)))
    response = await running.classification.Compare(request)
    assert response.model == "models/pictures/versions/1"
    np.testing.assert_allclose(array(response.distances), np.sqrt(2) * np.array([0.1, 0.5]), rtol=1e-6)
    assert response.threshold == 0.25


async def test_pairs_need_as_many_of_the_one_as_of_the_other(running, inputs, refused):
    request = CompareRequest(model=PICTURES, inputs=inputs(grey(0, 0)), others=inputs(grey(0)))
    refusal = await refused(running.classification.Compare(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "others")


async def test_what_is_wrong_with_the_second_of_a_pair_is_told_of_the_second(running, inputs, refused):
    request = CompareRequest(model=PICTURES, inputs=inputs(grey(0)), others=inputs([[1.0]]))
    assert (await refused(running.classification.Compare(request))).field == "others"


async def test_the_nearest_of_a_gallery_is_named_if_it_is_near_enough(running, inputs, tensor):
    request = IdentifyRequest(
        model=PICTURES,
        inputs=inputs(grey(0.5, 0.0, -0.9)),
        gallery=tensor([[0.6, 0.6], [-1, -1], [0.55, 0.55]]),
        names=["Ann", "Ben", "Ann"],
    )
    response = await running.classification.Identify(request)
    assert list(response.names) == ["Ann", "", "Ben"]
    np.testing.assert_allclose(array(response.distances), np.sqrt(2) * np.array([0.05, 0.55, 0.1]), rtol=1e-5)
    assert response.threshold == 0.25


@pytest.mark.parametrize(
    ("gallery", "names", "field"),
    [
        (None, [], "gallery"),
        (None, ["Ann"], "gallery"),
        ([[0, 0]], [], "gallery"),
        ([[0, 0]], ["Ann", "Ben"], "names"),
        ([[0, 0]], [""], "names"),
        ([[0, 0, 0]], ["Ann"], "gallery"),
        ([[0, float("nan")]], ["Ann"], "gallery"),
        ([0], ["Ann"], "gallery"),
    ],
)
async def test_a_gallery_that_is_empty_or_does_not_fit_is_refused(
    running, inputs, tensor, refused, gallery, names, field
):
    request = IdentifyRequest(model=PICTURES, inputs=inputs(grey(0)), names=names)
    if gallery is not None:
        request.gallery.CopyFrom(tensor(gallery))
    refusal = await refused(running.classification.Identify(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_neighbours_come_with_their_places_and_distances(running, inputs):
    request = NeighboursRequest(model=PICTURES, inputs=inputs(grey(0, 0.9)), k=3)
    response = await running.classification.Neighbours(request)
    assert array(response.indexes, "<i8").tolist() == [[3, 2, 4], [6, 5, 4]]
    np.testing.assert_allclose(array(response.distances)[0], [0, 1 / 3, 1 / 3], atol=1e-6)


@pytest.mark.parametrize("k", [-1, 0, 8])
async def test_no_more_neighbours_than_reference_rows_can_be_had(running, inputs, refused, k):
    refusal = await refused(
        running.classification.Neighbours(NeighboursRequest(model=PICTURES, inputs=inputs(grey(0)), k=k))
    )
    assert (refusal.code, refusal.field) == (grpc.StatusCode.OUT_OF_RANGE, "k")
    assert "1 to 7" in refusal.message


async def test_requests_for_different_numbers_of_neighbours_each_get_theirs(running, inputs):
    responses = await asyncio.gather(
        *(
            running.classification.Neighbours(NeighboursRequest(model=PICTURES, inputs=inputs(grey(0)), k=k))
            for k in (1, 7, 3, 7)
        )
    )
    assert [list(response.indexes.shape) for response in responses] == [[1, 1], [1, 7], [1, 3], [1, 7]]


async def test_each_position_of_a_sequence_gets_a_label_and_its_marginals(running):
    response = await running.classification.Tag(
        TagRequest(model=TAGS, sequences=[words("a", "b" * 15), words("c" * 12)])
    )
    assert [list(tagging.labels) for tagging in response.taggings] == [["short", "long"], ["long"]]
    np.testing.assert_allclose(array(response.taggings[0].marginals), [[0.95, 0.05], [0.25, 0.75]], atol=1e-6)
    assert list(response.taggings[1].marginals.shape) == [1, 2]


@pytest.mark.parametrize(
    ("sequences", "field", "code"),
    [
        ([], "sequences", "INVALID_ARGUMENT"),
        ([words("a"), words()], "sequences[1]", "INVALID_ARGUMENT"),
        ([words("a"), Sequence()], "sequences[1]", "INVALID_ARGUMENT"),
        ([words(*"abcdef")], "sequences[0]", "OUT_OF_RANGE"),
        ([words("a", "b" * 21)], "sequences[0]", "INVALID_ARGUMENT"),
    ],
)
async def test_a_sequence_that_is_empty_or_too_long_is_refused(running, refused, sequences, field, code):
    refusal = await refused(running.classification.Tag(TagRequest(model=TAGS, sequences=sequences)))
    assert (refusal.code.name, refusal.field) == (code, field)


async def test_arrays_are_no_sequences_of_a_model_of_words(running, refused, tensor):
    refusal = await refused(
        running.classification.Tag(TagRequest(model=TAGS, sequences=[Sequence(tensor=tensor([[1.0]]))]))
    )
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "sequences[0]")


async def test_a_labelling_is_scored(running):
    request = ScoreRequest(
        model=TAGS,
        sequences=[words("a", "b" * 15), words("c" * 10)],
        labellings=[StringRows(rows=["short", "long"]), StringRows(rows=["long"])],
    )
    response = await running.generation.Score(request)
    np.testing.assert_allclose(array(response.log_prob), np.log([0.95 * 0.75, 0.5]), rtol=1e-5)


@pytest.mark.parametrize(
    ("labellings", "field"),
    [
        ([], "labellings"),
        ([["short"]], "labellings[0]"),
        ([["short", "lnog"]], "labellings[0]"),
        ([["short", "long"], ["short"]], "labellings"),
    ],
)
async def test_a_labelling_that_does_not_fit_its_sequence_is_refused(running, refused, labellings, field):
    request = ScoreRequest(
        model=TAGS, sequences=[words("a", "b")], labellings=[StringRows(rows=rows) for rows in labellings]
    )
    refusal = await refused(running.generation.Score(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_tagger_scores_no_plain_inputs(running, refused, inputs):
    refusal = await refused(running.generation.Score(ScoreRequest(model=TAGS, inputs=inputs([[1.0]]))))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "inputs")


async def test_a_signature_is_called_as_it_is(running, tensor):
    request = PredictRequest(model=SUMS, inputs={"a": tensor([[1, 2], [3, 4]]), "b": tensor([10, 20])})
    request.options["factor"].double_value = 2
    response = await running.classification.Predict(request)
    assert array(response.outputs["sum"]).tolist() == [[22, 24], [46, 48]]
    response = await running.classification.Predict(
        PredictRequest(model=SUMS, signature="count", inputs={"a": tensor([[1, 2]])})
    )
    assert array(response.outputs["n"], "<i8").tolist() == [2]
    assert array(response.outputs["copy"]).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("signature", "given", "field"),
    [
        ("ad", {"a": [[1, 2]], "b": [1]}, "signature"),
        ("", {"a": [[1, 2]]}, "inputs.b"),
        ("", {"a": [[1, 2]], "b": [1], "c": [1]}, "inputs.c"),
        ("", {"a": [[1, 2]], "b": [1, 2]}, "inputs.b"),
        ("", {"a": [[1, 2, 3]], "b": [1]}, "inputs.a"),
    ],
)
async def test_a_call_that_no_signature_allows_is_refused(running, refused, tensor, signature, given, field):
    request = PredictRequest(
        model=SUMS, signature=signature, inputs={name: tensor(values) for name, values in given.items()}
    )
    refusal = await refused(running.classification.Predict(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_version_lists_what_models_of_its_kind_declare(running):
    def version(name):
        return running.models.GetModel(GetModelRequest(name=name))

    pictures, tags, sums = [(await version(name)).model.versions[0] for name in (PICTURES, TAGS, SUMS)]
    assert list(pictures.verbs) == ["classify", "embed", "compare", "identify", "neighbours"]
    assert (pictures.threshold, pictures.reference_rows, list(pictures.features)) == (0.25, 7, ["images"])
    assert (list(tags.verbs), tags.positions) == (["score", "tag"], 5)
    assert (list(sums.verbs), sums.default_signature, sorted(sums.signatures)) == (["predict"], "add", ["add", "count"])
    assert list(sums.signatures["add"].inputs["a"].shape) == [2]
    assert set(sums.signatures["count"].outputs) == {"copy", "n"}


@pytest.mark.parametrize(
    ("kind", "media_type", "kwargs"),
    [
        ("PNG", "image/png", {}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("JPEG", "image/jpeg", {"quality": 100}),
    ],
)
async def test_image_files_are_rows(running, kind, media_type, kwargs):
    files = [file_of(np.full((4, 3), value), kind, **kwargs) for value in (0, 255, 51)]
    response = await running.classification.Embed(
        EmbedRequest(model=PICTURES, inputs=encoded(*files, media_type=media_type))
    )
    np.testing.assert_allclose(array(response.embeddings)[:, 0], [-1, 1, -0.6], atol=0.01)


def truncated(size):
    return file_of(np.random.default_rng(0).integers(0, 256, (4, 3)))[:size]


def bomb(width, height):
    """A PNG whose header promises many pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "empty"),
        (b"hello", "no PNG, JPEG or WebP"),
        (truncated(50), "damaged"),
        (file_of(np.zeros((3, 4))), "4 by 3 pixels, and the model takes 3 by 4"),
        (file_of(np.zeros((4, 3)), mode="RGBA"), "alpha channel"),
        (file_of(np.zeros((4, 3)), mode="LA"), "alpha channel"),
        (file_of(np.zeros((4, 3)), "GIF"), "no PNG, JPEG or WebP"),
        (bomb(3000, 3000), "3000 by 3000 pixels"),
        (bomb(60000, 60000), "too many pixels"),
    ],
)
async def test_a_file_that_is_no_picture_for_the_model_is_refused_and_its_neighbours_are_not(
    running, refused, file, says
):
    good = EmbedRequest(model=PICTURES, inputs=encoded(file_of(np.full((4, 3), 255))))
    calls = [running.classification.Embed(good) for _ in range(3)]
    refusal = await refused(running.classification.Embed(EmbedRequest(model=PICTURES, inputs=encoded(file))))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.INVALID_ARGUMENT, "inputs")
    assert says in refusal.message
    for response in await asyncio.gather(*calls):
        np.testing.assert_allclose(array(response.embeddings), 1)


async def test_the_row_of_a_bad_file_is_told_however_the_rows_are_batched(running, refused):
    files = [file_of(np.zeros((4, 3)))] * 21
    files[18] = b"no picture"
    refusal = await refused(running.classification.Embed(EmbedRequest(model=PICTURES, inputs=encoded(*files))))
    assert "row 18" in refusal.message


async def test_a_file_over_the_limit_is_refused_before_it_is_read(serve, refused):
    async with serve(engine={"max_image_bytes": 100}) as running:
        request = EmbedRequest(model=PICTURES, inputs=encoded(bytes(101)))
        refusal = await refused(running.classification.Embed(request))
    assert (refusal.code, refusal.field) == (grpc.StatusCode.OUT_OF_RANGE, "inputs")


async def test_files_of_another_media_type_are_refused(running, refused):
    request = EmbedRequest(model=PICTURES, inputs=encoded(b"GIF89a", media_type="image/gif"))
    refusal = await refused(running.classification.Embed(request))
    assert refusal.field == "inputs.encoded.media_type"
    assert "image/webp" in refusal.message


async def test_files_and_arrays_of_many_callers_share_batches(running, inputs):
    requests = [
        ClassifyRequest(model=PICTURES, inputs=encoded(file_of(np.full((4, 3), 255)))),
        ClassifyRequest(model=PICTURES, inputs=inputs(grey(1))),
    ] * 5
    answers = await asyncio.gather(*(running.classification.Classify(request) for request in requests))
    for answer in answers:
        np.testing.assert_allclose(array(answer.probabilities), array(answers[0].probabilities), atol=1e-6)
