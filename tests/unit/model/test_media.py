from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from genservice import TensorSpec
from genservice.errors import InvalidRequest
from genservice.model.media import IMAGE_FORMATS, INPUT_FORMATS, decode_image, encode_image, is_image, to_uint8

SIGNED = TensorSpec((1,), minimum=-1, maximum=1)


@pytest.mark.parametrize(("value", "byte"), [(-1, 0), (1, 255), (0, 128), (-0.99999, 0), (0.5, 191), (2, 255), (-2, 0)])
def test_samples_are_scaled_rounded_and_clipped_to_bytes(value, byte):
    scaled = to_uint8(np.array([value], np.float32), SIGNED)
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [byte]


def test_every_byte_survives_the_way_to_the_unit_interval_and_back():
    every = np.arange(256, dtype=np.uint8)
    unit = TensorSpec((1,), minimum=0, maximum=1)
    assert np.array_equal(to_uint8((every / 255).astype(np.float32), unit), every)


def test_bytes_are_left_alone():
    samples = np.array([0, 7, 255], np.uint8)
    assert to_uint8(samples, TensorSpec((3,), "uint8")) is samples


def test_samples_without_bounds_have_no_bytes():
    with pytest.raises(InvalidRequest, match="have no bounds") as refusal:
        to_uint8(np.zeros(3, np.float32), TensorSpec((3,)))
    assert refusal.value.field == "output"


@pytest.mark.parametrize("media_type", IMAGE_FORMATS)
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_an_image_is_encoded_without_loss(media_type, channels, mode):
    event = TensorSpec((5, 4, channels), "uint8")
    sample = np.random.default_rng(0).integers(0, 256, event.shape, np.uint8)
    image = Image.open(BytesIO(encode_image(media_type, sample, event)))
    assert image.get_format_mimetype() == media_type
    assert image.size == (4, 5)
    assert np.array_equal(np.asarray(image.convert(mode)).reshape(event.shape), sample)


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        (TensorSpec((4, 3, 1), minimum=-1, maximum=1), True),
        (TensorSpec((4, 3, 3), "uint8"), True),
        (TensorSpec((4, 3, 3)), False),
        (TensorSpec((4, 3, 2), minimum=0, maximum=1), False),
        (TensorSpec((4, 3), minimum=0, maximum=1), False),
        (TensorSpec((-1, 3, 1), minimum=0, maximum=1), False),
        (TensorSpec((), "string"), False),
    ],
)
def test_what_is_an_image_has_a_size_channels_and_bounds(spec, image):
    assert is_image(spec) is image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("media_type", IMAGE_FORMATS)
def test_an_image_that_is_encoded_is_decoded_to_the_same_bytes(channels, media_type):
    event = TensorSpec((5, 4, channels), minimum=-1, maximum=1)
    sample = np.random.default_rng(0).uniform(-1, 1, (5, 4, channels)).astype(np.float32)
    decoded = decode_image(encode_image(media_type, sample, event), event)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(to_uint8(decoded, event), to_uint8(sample, event))
    as_bytes = TensorSpec((5, 4, channels), "uint8")
    np.testing.assert_array_equal(
        decode_image(encode_image(media_type, sample, event), as_bytes), to_uint8(sample, event)
    )


def test_grey_becomes_colour_and_colour_grey():
    grey = Image.fromarray(np.full((2, 3), 100, np.uint8))
    files = {}
    for mode in ("L", "RGB"):
        file = BytesIO()
        grey.convert(mode).save(file, "PNG")
        files[mode] = file.getvalue()
    assert decode_image(files["L"], TensorSpec((2, 3, 3), "uint8")).tolist() == np.full((2, 3, 3), 100).tolist()
    assert decode_image(files["RGB"], TensorSpec((2, 3, 1), "uint8")).tolist() == np.full((2, 3, 1), 100).tolist()


@pytest.mark.parametrize("kind", [b"VP8 ", b"VP8L", b"VP8X"])
def test_the_size_of_a_webp_file_is_known_before_its_canvas_is_made(kind):
    width, height = 16000, 12000
    header = {
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little"),
        b"VP8L": b"\x2f" + (width - 1 | (height - 1) << 14).to_bytes(4, "little"),
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind]
    body = b"WEBP" + kind + (40).to_bytes(4, "little") + header.ljust(40, b"\0")
    file = b"RIFF" + len(body).to_bytes(4, "little") + body
    with pytest.raises(InvalidRequest, match="16000 by 12000 pixels"):
        decode_image(file, TensorSpec((28, 28, 1), "uint8"))


def test_an_animated_image_is_refused():
    frames = [Image.fromarray(np.full((2, 3), value, np.uint8)) for value in (0, 255)]
    file = BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(InvalidRequest, match="animated"):
        decode_image(file.getvalue(), TensorSpec((2, 3, 1), "uint8"))


CORNERS = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
"""A picture of 3 by 2 pixels, each unlike the others."""
ORIENTATIONS = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(np.transpose(upright), 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""How the pixels are stored by the EXIF orientation (EXIF 2.32, section 4.6.4)."""


def stored(upright, orientation, file_format):
    """An image file of pixels that were turned, and that says so; each pixel is a square that JPEG keeps."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return saved(ORIENTATIONS[orientation](upright).repeat(16, 0).repeat(16, 1), file_format, exif.tobytes())


def saved(pixels, file_format, exif):
    file = BytesIO()
    quality = {} if file_format == "PNG" else {"quality": 100}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, file_format, exif=exif, **quality)
    return file.getvalue()


@pytest.mark.parametrize("file_format", INPUT_FORMATS.values())
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_photograph_is_turned_upright(orientation, file_format):
    decoded = decode_image(stored(CORNERS, orientation, file_format), TensorSpec((32, 48, 1), "uint8"))
    np.testing.assert_allclose(decoded[8::16, 8::16, 0].astype(int), CORNERS, atol=3)


@pytest.mark.parametrize("file_format", INPUT_FORMATS.values())
def test_the_size_of_a_turned_photograph_is_that_of_the_upright_one(file_format):
    with pytest.raises(InvalidRequest, match="has 48 by 32 pixels, and the model takes 32 by 48"):
        decode_image(stored(CORNERS, 6, file_format), TensorSpec((48, 32, 1), "uint8"))


def test_a_picture_on_its_side_that_does_not_say_so_is_refused():
    with pytest.raises(InvalidRequest, match="has 48 by 32 pixels, and the model takes 32 by 48"):
        decode_image(stored(CORNERS, 1, "PNG"), TensorSpec((48, 32, 1), "uint8"))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("file_format", INPUT_FORMATS.values())
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0nothing that is known",
        b"Exif\0\0MM\0*\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x03ab\0\0\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    ],
    ids=["empty", "no TIFF", "beyond the end", "cut off", "a text", "no such orientation"],
)
def test_a_picture_with_a_broken_orientation_is_taken_as_it_is_stored(exif, file_format):
    pixels = CORNERS.repeat(16, 0).repeat(16, 1)
    decoded = decode_image(saved(pixels, file_format, exif), TensorSpec((32, 48, 1), "uint8"))
    np.testing.assert_allclose(decoded[8::16, 8::16, 0].astype(int), CORNERS, atol=3)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_what_else_is_broken_in_a_turned_photograph_does_not_keep_it_on_its_side():
    # Big endian: orientation 6, and a resolution that points behind the end.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    exif += b"\x01\x1a\0\x05\0\0\0\x01\xff\xff\xff\xff" + bytes(4)
    file = saved(ORIENTATIONS[6](CORNERS), "PNG", exif)
    assert decode_image(file, TensorSpec((2, 3, 1), "uint8"))[..., 0].tolist() == CORNERS.tolist()
