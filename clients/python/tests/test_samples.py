import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

from genservice_client import Determinism, ProtocolError, SampleChunk, SampleHeader, Samples, TensorSpec
from genservice_client.extras import require


def header(minimum=-1.0, maximum=1.0):
    spec = TensorSpec(np.dtype("float32"), (2, 2), minimum, maximum, "")
    return SampleHeader("models/x/versions/1", "h", 5, spec, Determinism.BITWISE, "cpu")


def chunk(rows, media_type="", first=0, **bounds):
    return SampleChunk(np.arange(first, first + len(rows)), rows, header(**bounds), media_type)


def png(value):
    file = io.BytesIO()
    Image.new("L", (2, 2), value).save(file, "PNG")
    return file.getvalue()


def test_numbers_become_pictures_by_the_range_of_the_model():
    (image,) = chunk(np.array([[[-1.0, 0.0], [1.0, 9.0]]], np.float32)).images()
    assert (image.mode, np.asarray(image).tolist()) == ("L", [[0, 128], [255, 255]])  # 127.5 goes to the even 128


@pytest.mark.parametrize(("shape", "mode"), [((2, 2), "L"), ((2, 2, 1), "L"), ((2, 2, 3), "RGB"), ((2, 2, 4), "RGBA")])
def test_uint8_is_taken_as_it_is(shape, mode):
    (image,) = chunk(np.full((1, *shape), 7, np.uint8)).images()
    assert image.mode == mode
    assert set(np.asarray(image).ravel().tolist()) == {7}


def test_files_become_pictures():
    images = chunk([png(3), png(4)], "image/png").images()
    assert [image.getpixel((0, 0)) for image in images] == [3, 4]


def test_numbers_without_a_range_are_no_pictures():
    with pytest.raises(ValueError, match="in which range"):
        chunk(np.zeros((1, 2, 2), np.float32), minimum=None).images()


def test_vectors_are_no_pictures():
    with pytest.raises(ValueError, match="no pictures"):
        chunk(np.zeros((1, 2), np.float32)).images()


def test_each_form_says_what_it_is_not():
    numbers, files, texts = chunk(np.zeros((1, 2), np.float32)), chunk([b"x"], "audio/midi"), chunk(["x"])
    for samples, methods in (
        (numbers, ["files", "texts"]),
        (files, ["to_numpy", "texts", "images"]),
        (texts, ["to_numpy", "files", "images"]),
    ):
        for method in methods:
            with pytest.raises(TypeError, match="the samples are"):
                getattr(samples, method)()
    assert files.files() == [b"x"]
    assert texts.texts() == ["x"]


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [(["a"], ["b", "c"], "texts"), ([b"a"], [b"b", b"c"], "files")],
)
def test_chunks_are_joined(first, second, read):
    media_type = "x/y" if read == "files" else ""
    samples = Samples.joined([chunk(first, media_type), chunk(second, media_type, first=1)])
    assert getattr(samples, read)() == first + second
    assert samples.indexes.tolist() == [0, 1, 2]


def test_chunks_of_several_forms_are_refused():
    with pytest.raises(ProtocolError, match="several forms"):
        Samples.joined([chunk(["a"]), chunk([b"b"], "x/y", first=1)])


async def test_files_and_texts_come_over_the_wire(side, client):
    files = await side.call(client.sample("digits", 5, output="image/png").all())
    assert files.files() == [b"file %d" % i for i in range(5)]
    assert files.media_type == "image/png"
    texts = await side.call(client.sample("digits", 5, output="text/plain").all())
    assert texts.texts() == [f"sample {i}" for i in range(5)]


def test_a_package_that_is_missing_is_named_with_its_extra():
    with pytest.raises(ImportError, match=r"pip install 'genservice-client\[progress\]'"):
        require("no_such_module", extra="progress")


async def test_progress_is_shown_in_samples(side, client, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, total):
            shown.append(total)

        def update(self, count):
            shown.append(count)

        def close(self):
            shown.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=Bar))
    await side.call(client.sample("digits", 6).all(progress=True))
    assert shown == [6, 4, 2, "closed"]


async def test_progress_without_tqdm_is_found_before_a_call(side, client, service, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match="tqdm is not installed"):
        await side.call(client.sample("digits", 6).all(progress=True))
    assert not service.requests["Sample"]
