"""Comparisons, galleries and neighbours."""

import numpy as np
import pytest

import genservice_client as gc_client

ANN, BOB, EVE = (np.full((1, 2), place, np.float32) for place in (0, 10, 20))
VERSION = "models/digits/versions/3"


@pytest.fixture
def people():
    gallery = gc_client.Gallery()
    gallery.enrol("Ann", ANN)
    gallery.enrol("Bob", np.concatenate([BOB, BOB + 1]))
    return gallery


async def test_pairs_are_compared(side, client):
    comparison = await side.call(client.compare("faces", np.concatenate([ANN, ANN]), np.concatenate([ANN + 1, EVE])))
    assert comparison.model == VERSION
    assert comparison.distances.tolist() == pytest.approx([2**0.5, 800**0.5])
    assert (comparison.threshold, comparison.same.tolist(), len(comparison)) == (1.5, [True, False], 2)


async def test_one_row_is_compared_with_each_of_the_others(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=2))
    others = np.concatenate([ANN, BOB, EVE])
    for comparison in (
        await side.call(client.compare("faces", ANN, others)),
        await side.call(client.compare("faces", others, ANN)),
    ):
        assert comparison.same.tolist() == [True, False, False]
    sides = [(each.inputs.tensor.shape[0], each.others.tensor.shape[0]) for each in service.requests["Compare"]]
    assert sides == [(2, 2), (1, 1)] * 2


async def test_sides_of_different_lengths_are_refused_before_a_call(side, client, service):
    with pytest.raises(ValueError, match="inputs has 2 rows and others 3"):
        await side.call(client.compare("faces", np.zeros((2, 2)), np.zeros((3, 2))))
    assert not service.metadata


async def test_the_known_are_found_and_others_are_nobody(side, client, people, service):
    found = await side.call(client.identify("faces", np.concatenate([BOB + 1, EVE, ANN]), people))
    assert found.names == ("Bob", None, "Ann")
    assert found.distances.tolist() == pytest.approx([0, 162**0.5, 0])
    assert (found.model, found.threshold, len(found)) == (VERSION, 1.5, 3)
    (request,) = service.requests["Identify"]
    assert (request.model, list(request.names)) == (VERSION, ["Ann", "Bob", "Bob"])


async def test_what_a_gallery_takes_of_a_request_is_left_to_it(side, running, service, people):
    client = side.client(running.target, limits=gc_client.Limits(max_request_bytes=64))
    await side.call(client.identify("faces", np.zeros((8, 2), np.float32), people))
    assert [each.inputs.tensor.shape[0] for each in service.requests["Identify"]] == [2, 2, 2, 2]


async def test_an_empty_gallery_is_refused_before_a_call(side, client, service):
    with pytest.raises(ValueError, match="the gallery is empty"):
        await side.call(client.identify("faces", ANN, gc_client.Gallery()))
    with pytest.raises(ValueError, match="the gallery is empty"):
        await side.call(client.gallery("faces").identify(ANN))
    assert not service.metadata


async def test_a_gallery_of_a_model_is_filled_and_asked(side, client, tmp_path):
    gallery = client.gallery("faces")
    await side.call(gallery.enrol("Ann", ANN))
    await side.call(gallery.enrol("Bob", np.concatenate([BOB, BOB + 1])))
    assert gallery.entries.names == ("Ann", "Bob", "Bob")
    assert (gallery.entries.model, gallery.entries.content_hash) == (VERSION, "abc")
    assert (await side.call(gallery.identify(EVE))).names == (None,)
    gallery.entries.save(tmp_path / "people")
    again = client.gallery("faces", gc_client.Gallery.load(tmp_path / "people"))
    assert (await side.call(again.identify(BOB))).names == ("Bob",)


async def test_a_gallery_can_be_filled_by_the_client(side, client):
    gallery = gc_client.Gallery()
    await side.call(client.enrol("digits@3", "Ann", ANN, gallery))
    assert (gallery.names, gallery.model) == (("Ann",), VERSION)


async def test_embeddings_of_another_content_are_refused(side, running, service):
    client = side.client(running.target)
    gallery = client.gallery("faces")
    await side.call(gallery.enrol("Ann", ANN))
    service.content_hash = "other"
    with pytest.raises(ValueError, match=r"embeddings of models/digits/versions/3 \(abc\)"):
        await side.call(gallery.identify(ANN))
    with pytest.raises(ValueError, match="enrol again"):
        await side.call(gallery.enrol("Bob", BOB))
    assert gallery.entries.names == ("Ann",)
    assert not service.requests["Identify"]


async def test_a_version_that_is_not_there_is_not_waited_for(side, client, service, people, cut, clock):
    service.failures["GetModel"].append(cut(gc_client.NotFoundError.code, reason="NOT_FOUND"))
    with pytest.raises(gc_client.NotFoundError):
        await side.call(client.identify("digits@9", ANN, people))
    assert clock.sleeps == []


async def test_a_model_without_a_version_that_is_ready_is_unavailable(side, client, service, people):
    service.versions = []
    with pytest.raises(gc_client.UnavailableError, match="no version of models/faces is ready"):
        await side.call(client.identify("faces", ANN, people))


async def test_what_cannot_be_embedded_leaves_the_gallery_as_it_was(side, client, service, cut):
    service.failures["Embed"].append(cut(gc_client.InvalidArgumentError.code))
    gallery = client.gallery("faces")
    with pytest.raises(gc_client.InvalidArgumentError):
        await side.call(gallery.enrol("Ann", ANN))
    assert (len(gallery.entries), gallery.entries.model) == (0, "")


def test_someone_can_be_taken_away(people):
    people.remove("Bob")
    assert people.names == ("Ann",)
    assert people.embeddings.tolist() == ANN.tolist()
    with pytest.raises(KeyError):
        people.remove("Bob")


def test_one_embedding_is_a_row(people):
    people.enrol("Eve", EVE[0])
    assert (people.embeddings.shape, len(people)) == ((4, 2), 4)


@pytest.mark.parametrize(
    ("name", "embeddings", "message"),
    [
        ("", ANN, "the name is empty"),
        ("Eve", np.zeros((1, 3)), "3 dimensions, and those in the gallery 2"),
        ("Eve", np.zeros((1, 2, 2)), "must be"),
        ("Eve", np.zeros((0, 2)), "no embeddings"),
        ("Eve", np.array([[np.nan, 0]]), "not finite"),
    ],
)
def test_what_cannot_be_enrolled_is_refused(people, name, embeddings, message):
    with pytest.raises(ValueError, match=message):
        people.enrol(name, embeddings)
    assert len(people) == 3


def test_what_a_gallery_gives_out_cannot_change_it(people):
    with pytest.raises(ValueError, match="read-only"):
        people.embeddings[0] = 7


def test_a_gallery_comes_back_from_its_file(people, tmp_path):
    people.model, people.content_hash = VERSION, "abc"
    people.save(tmp_path / "people.npz")
    again = gc_client.Gallery.load(tmp_path / "people.npz")
    assert (again.names, again.model, again.content_hash) == (people.names, VERSION, "abc")
    assert np.array_equal(again.embeddings, people.embeddings)
    again.enrol("Eve", EVE)
    gc_client.Gallery().save(tmp_path / "nobody.npz")
    assert len(gc_client.Gallery.load(tmp_path / "nobody.npz")) == 0


def test_what_is_no_gallery_is_refused_and_never_run(tmp_path):
    path = tmp_path / "file.npz"
    parts = {"model": np.array("m"), "content_hash": np.array("h"), "embeddings": np.zeros((1, 2))}
    for content in (
        {"samples": np.zeros(2)},
        parts | {"names": np.array([object()])},
        parts | {"names": np.array(["a", "b"])},
        parts | {"names": np.array([1])},
        parts | {"names": np.array(["a"]), "embeddings": np.full((1, 2), np.inf)},
        parts | {"names": np.array(["a"]), "embeddings": np.zeros(1)},
        parts | {"names": np.array(["a"]), "embeddings": np.array([["x", "y"]])},
    ):
        np.savez(path, **content)
        with pytest.raises(ValueError, match="is no gallery"):
            gc_client.Gallery.load(path)
    for damaged in (b"", b"no archive", b"PK\x03\x04 damaged"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is no gallery"):
            gc_client.Gallery.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="is no gallery"):
        gc_client.Gallery.load(tmp_path / "array.npy")
    with pytest.raises(FileNotFoundError):
        gc_client.Gallery.load(tmp_path / "nowhere.npz")


async def test_neighbours_are_found(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_rows=2))
    found = await side.call(client.neighbours("knn", np.array([[5], [7], [9]], np.float32), 2, metric="cosine"))
    assert found.indexes.tolist() == [[5, 6], [7, 8], [9, 10]]
    assert found.indexes.dtype == np.int64
    assert found.distances.tolist() == [[0, 1]] * 3
    assert (found.model, len(found)) == (VERSION, 3)
    assert {(each.k, each.options["metric"].string_value) for each in service.requests["Neighbours"]} == {(2, "cosine")}
    with pytest.raises(ValueError, match="k is 0"):
        await side.call(client.neighbours("knn", np.zeros((1, 1)), 0))
