"""Image files as inputs."""

import io

import numpy as np
import pytest
from PIL import Image

import genservice_client as gc_client
from genservice_client.image_files import media_type_of
from genservice_client.row_values import Conditions, RowValues

PICTURE = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)


def encoded(kind, picture=PICTURE):
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


FILES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP")}


def sent(service, method="Classify"):
    return [(each.inputs.encoded.media_type, list(each.inputs.encoded.rows)) for each in service.requests[method]]


@pytest.mark.parametrize("kind", FILES)
def test_the_media_type_is_told_by_the_first_bytes(kind):
    assert media_type_of(FILES[kind]) == f"image/{kind.lower()}"


async def test_files_go_as_they_are_whether_bytes_or_paths(side, client, service, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(FILES["JPEG"])
    for inputs in (FILES["JPEG"], [FILES["JPEG"]], path, [path]):
        assert len(await side.call(client.classify("digits", inputs))) == 1
    assert sent(service) == [("image/jpeg", [FILES["JPEG"]])] * 4


async def test_pictures_go_as_png_without_loss(side, client, service):
    await side.call(client.embed("digits", [PICTURE, PICTURE.convert("RGB")]))
    ((media_type, files),) = sent(service, "Embed")
    assert media_type == "image/png"
    first, second = (Image.open(io.BytesIO(file)) for file in files)
    assert np.array_equal(first, PICTURE)
    assert second.mode == "RGB"


async def test_files_of_several_types_go_in_several_requests_in_their_order(side, client, service):
    inputs = [FILES["PNG"], FILES["PNG"], FILES["WEBP"], FILES["PNG"]]
    assert len(await side.call(client.classify("digits", inputs))) == 4
    assert [(media_type, len(files)) for media_type, files in sent(service)] == [
        ("image/png", 2),
        ("image/webp", 1),
        ("image/png", 1),
    ]


async def test_pairs_of_several_types_stay_together(side, client, service):
    others = [FILES["JPEG"], FILES["PNG"], FILES["PNG"]]
    comparison = await side.call(client.compare("faces", [FILES["JPEG"], FILES["JPEG"], FILES["PNG"]], others))
    assert comparison.same.tolist() == [True, FILES["JPEG"][-1] == FILES["PNG"][-1], True]
    kinds = [
        (each.inputs.encoded.media_type[6:], each.others.encoded.media_type[6:]) for each in service.requests["Compare"]
    ]
    assert kinds == [("jpeg", "jpeg"), ("jpeg", "png"), ("png", "png")]


async def test_many_files_go_in_several_requests(side, running, service):
    client = side.client(running.target, limits=gc_client.Limits(max_request_bytes=2 * len(FILES["PNG"]) + 8))
    await side.call(client.classify("digits", [FILES["PNG"]] * 5))
    assert [len(files) for _, files in sent(service)] == [2, 2, 1]


async def test_a_stream_of_inputs_takes_files(side, client):
    answers = await side.collect(client.stream_classify("digits", [FILES["PNG"], [FILES["JPEG"]] * 2]))
    assert [len(answer) for answer in answers] == [1, 2]


WRONG = {
    "of another type": b"GIF89a...",
    "empty": b"",
    "a text among files": [FILES["PNG"], "picture.png"],
    "an array among files": [FILES["PNG"], np.zeros((3, 4))],
    "a picture that is no png": [PICTURE.convert("CMYK")],
}


@pytest.mark.parametrize("inputs", WRONG.values(), ids=WRONG)
async def test_what_is_no_image_file_is_refused_before_a_call(side, client, service, inputs):
    with pytest.raises(ValueError, match=r"inputs\["):
        await side.call(client.classify("digits", inputs))
    assert not service.metadata


async def test_a_file_that_is_no_image_is_named(side, client, service, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"notes\.png is no PNG, JPEG or WebP file"):
        await side.call(client.classify("digits", [tmp_path / "notes.png"]))
    with pytest.raises(FileNotFoundError):
        await side.call(client.classify("digits", tmp_path / "nowhere.png"))
    assert not service.metadata


def test_one_request_has_files_of_one_type():
    rows = RowValues.of([FILES["PNG"], FILES["JPEG"]], "inputs")
    with pytest.raises(ValueError, match="image/png and image/jpeg"):
        rows.message()
    with pytest.raises(ValueError, match="condition 'image' has image files of several types"):
        Conditions({"image": [FILES["PNG"], FILES["JPEG"]]}, 2)


def test_a_condition_takes_files():
    messages = Conditions({"image": FILES["PNG"]}, 5).messages(1, 3)
    assert messages["image"].encoded.rows == [FILES["PNG"]]


def test_files_are_neither_numbers_nor_strings():
    rows = RowValues.of(FILES["PNG"], "inputs")
    with pytest.raises(TypeError, match="image files were given"):
        rows.tensor()
    with pytest.raises(TypeError, match="image files were given"):
        rows.strings()
