"""Weights as their package has them, as they are kept, and as the network gets them."""

import io
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError, IntegrityError
from genservice_faces import weights
from genservice_faces.network import CONVOLUTIONS, build_network
from genservice_faces.weights import BINARY, MANIFEST, QUANTISATION, dequantise, read_package, set_weights

TINY = {
    "a/filters": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "a/filters" + QUANTISATION: np.array([0.5, -1.0]),
    "b": np.array([1.5, -2.5], np.float32),
}


def test_a_package_is_read_as_it_is(tmp_path, write_package):
    write_package(tmp_path, TINY)
    tensors = read_package(tmp_path)
    assert tensors.keys() == TINY.keys()
    for name, values in TINY.items():
        assert tensors[name].dtype == values.dtype
        np.testing.assert_array_equal(tensors[name], values)


def test_a_quantised_number_is_its_byte_times_the_scale_plus_the_minimum():
    np.testing.assert_array_equal(dequantise(TINY, "a/filters"), [[-1, -0.5, 0], [0.5, 1, 1.5]])
    np.testing.assert_array_equal(dequantise(TINY, "b"), [1.5, -2.5])
    assert dequantise(TINY, "a/filters").dtype == np.float32


def test_damaged_packages_are_refused(tmp_path, write_package):
    with pytest.raises(DataError, match="cannot be read"):
        read_package(tmp_path)
    write_package(tmp_path, TINY)
    whole = (tmp_path / BINARY).read_bytes()
    (tmp_path / BINARY).write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="15 bytes, and its manifest tells of 14"):
        read_package(tmp_path)
    (tmp_path / BINARY).write_bytes(whole[:-1])
    with pytest.raises(DataError, match="damaged"):
        read_package(tmp_path)
    for manifest in ("no json", "{}{}", '[{"weights": [{"name": "a"}]}]', '[{"weights": 1}]'):
        (tmp_path / MANIFEST).write_text(manifest)
        with pytest.raises(DataError, match="damaged"):
            read_package(tmp_path)


def test_the_affine_layer_behind_a_convolution_is_folded_into_it(network, tensors):
    scale, shift = (
        dequantise(tensors, "conv64_1/conv1/scale/weights"),
        dequantise(tensors, "conv64_1/conv1/scale/biases"),
    )
    kernel, bias = network.get_layer("conv64_1_conv1").get_weights()
    np.testing.assert_allclose(kernel, dequantise(tensors, "conv64_1/conv1/conv/filters") * scale, rtol=1e-6)
    np.testing.assert_allclose(bias, dequantise(tensors, "conv64_1/conv1/conv/bias") * scale + shift, rtol=1e-6)


def test_weights_that_do_not_fit_the_network_are_refused(tensors):
    network = build_network()
    with pytest.raises(IntegrityError, match="no tensor 'fc'"):
        set_weights(network, {name: values for name, values in tensors.items() if name != "fc"})
    with pytest.raises(IntegrityError, match=r"does not know: \['more'\]"):
        set_weights(network, {**tensors, "more": np.zeros(2, np.float32)})
    with pytest.raises(IntegrityError, match=r"'fc' have the shapes \[\(2, 3\)\]"):
        set_weights(network, {**tensors, "fc": np.zeros((2, 3), np.uint8)})


def test_the_weights_are_kept_a_byte_a_number_as_they_came(tensors):
    assert len([name for name in tensors if not name.endswith(QUANTISATION)]) == 4 * len(CONVOLUTIONS) + 1
    assert sum(values.nbytes for values in tensors.values()) < 6.5e6


def test_the_files_are_taken_out_of_what_npm_packs_and_kept(tmp_path, monkeypatch, write_package):
    asked = []

    def pack(command: list[str], *, cwd: str, **_: object) -> None:
        asked.append(command)
        write_package(tmp_path / "package", TINY)
        with tarfile.open(Path(cwd) / "face-api.tgz", "w:gz") as archive:
            for path in (tmp_path / "package").iterdir():
                archive.add(path, f"package/model/{path.name}")
            other = tarfile.TarInfo("package/model/age_gender_model.bin")
            archive.addfile(other, io.BytesIO())

    monkeypatch.setattr(subprocess, "run", pack)
    for _ in range(2):
        folder = weights.find_weights(tmp_path / "cache")
        assert read_package(folder).keys() == TINY.keys()
        assert sorted(path.name for path in folder.iterdir()) == sorted([BINARY, MANIFEST])
    assert len(asked) == 1
    assert asked[0][-1] == "@vladmandic/face-api@1.7.15"
    assert "--ignore-scripts" in asked[0]


def test_where_npm_fails_the_message_says_what_to_do(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("no npm")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(DataError, match=r"npm: no npm.*Put face_recognition_model-weights_manifest\.json"):
        weights.find_weights(tmp_path)
    assert list(tmp_path.iterdir()) == []
