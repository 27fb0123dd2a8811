import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from genservice.cli.failures import Failure
from genservice.cli.inputs import Decoding, read_rows
from genservice_client import TensorSpec

EVENT = TensorSpec(np.dtype("float32"), (8, 6, 1), -1.0, 1.0, "")


def picture(label: int) -> Image.Image:
    from genservice_toys import patterns

    return Image.fromarray(((patterns()[label, :, :, 0] + 1) * 127.5).astype(np.uint8))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{label}.png" for label in range(3)]
    for label, path in enumerate(paths):
        picture(label).save(path)
    return paths


def test_pictures_are_named(run, server: str, files: list[Path]) -> None:
    done = run("classify", "toy-cnn", *files, "--json", "--server", server)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["model"] == "models/toy-cnn/versions/1"
    assert [row["input"] for row in answer["rows"]] == list(map(str, files))
    assert [next(iter(row["labels"])) for row in answer["rows"]] == ["hat", "glove", "scarf"]


def test_the_table_has_as_many_labels_as_asked_for(run, server: str, files: list[Path]) -> None:
    table = run("classify", "toy-cnn", files[1], "--top", 2, "--server", server).stdout
    assert "glove" in table
    assert "label 2" in table
    assert "label 3" not in table


def test_what_sample_wrote_is_read(run, server: str, tmp_path: Path) -> None:
    file = tmp_path / "samples.npz"
    run("sample", "toy-gan", 5, "-o", "label=glove", "--out", file, "--server", server)
    rows = json.loads(run("classify", "toy-cnn", file, "--json", "--server", server).stdout)["rows"]
    assert [row["input"] for row in rows] == [f"{file}[{place}]" for place in range(5)]
    assert {next(iter(row["labels"])) for row in rows} == {"glove"}


def test_resize_and_invert_bring_a_photograph_to_the_models_form(
    run, server: str, files: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    ImageOps.invert(picture(1)).resize((60, 80), Image.Resampling.NEAREST).convert("RGB").save(path)
    refused = run("classify", "toy-cnn", path, "--server", server)
    assert refused.exit_code == 1
    assert "has 60 by 80 pixels, and the model takes 6 by 8" in refused.stderr
    done = run("classify", "toy-cnn", path, "--resize", "--invert", "--json", "--server", server)
    assert next(iter(json.loads(done.stdout)["rows"][0]["labels"])) == "glove"


@pytest.mark.parametrize("options", [(), ("--resize",), ("--invert",)])
def test_a_photograph_of_a_turned_telephone_is_upright(run, server: str, tmp_path: Path, options) -> None:
    upright = picture(1).resize((60, 80), Image.Resampling.NEAREST) if "--resize" in options else picture(1)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = (ImageOps.invert(upright) if "--invert" in options else upright).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    done = run("classify", "toy-cnn", tmp_path / "turned.png", *options, "--json", "--server", server)
    assert done.exit_code == 0, done.output
    assert next(iter(json.loads(done.stdout)["rows"][0]["labels"])) == "glove"


@pytest.mark.parametrize(("model", "message"), [("toy-cn", "Did you mean 'toy-cnn'"), ("toy-gan", "cannot classify")])
def test_a_refusal_is_one_line(run, server: str, files: list[Path], model: str, message: str) -> None:
    done = run("classify", model, files[0], "--server", server)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_bytes_are_scaled_to_the_bounds_of_the_event(tmp_path: Path) -> None:
    np.save(tmp_path / "bytes.npy", np.array([0, 255], np.uint8).repeat(48).reshape(2, 8, 6, 1))
    _, rows = read_rows([tmp_path / "bytes.npy"], EVENT, Decoding())
    assert rows.dtype == np.float32
    assert (rows.min(), rows.max()) == (-1, 1)


def test_colours_stay_where_the_event_has_them(tmp_path: Path) -> None:
    Image.new("RGB", (2, 1), "red").save(tmp_path / "red.png")
    event = TensorSpec(np.dtype("uint8"), (1, 2, 3), 0, 255, "")
    _, rows = read_rows([tmp_path / "red.png"], event, Decoding())
    assert rows.tolist() == [[[[255, 0, 0], [255, 0, 0]]]]


def test_files_that_are_no_inputs_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Failure, match=r"text\.png cannot be read"):
        read_rows([tmp_path / "text.png"], EVENT, Decoding())
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(Failure, match="has the arrays a, b"):
        read_rows([tmp_path / "two.npz"], EVENT, Decoding())
    np.save(tmp_path / "flat.npy", np.zeros((2, 48), np.float32))
    with pytest.raises(Failure, match=r"rows of the shape \[48\], and the model takes \[8, 6, 1\]"):
        read_rows([tmp_path / "flat.npy"], EVENT, Decoding())


def test_arrays_that_would_run_code_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(Failure, match="allow_pickle"):
        read_rows([tmp_path / "objects.npy"], EVENT, Decoding())


def test_a_model_of_numbers_takes_no_pictures(tmp_path: Path, files: list[Path]) -> None:
    event = TensorSpec(np.dtype("float32"), (4,), None, None, "")
    with pytest.raises(Failure, match="takes no pictures but rows of the shape"):
        read_rows(files, event, Decoding())
