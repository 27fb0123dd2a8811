"""The weights in the form that their package has."""

import json
from pathlib import Path

import numpy as np
import pytest

import genservice_faces
from genservice_faces.weights import BINARY, MANIFEST, QUANTISATION

SHIPPED = Path(genservice_faces.__file__).parent / "models" / "faces" / "1"


@pytest.fixture(scope="session")
def write_package():
    """Writes tensors into a folder as the package has them."""
    return _write_package


def _write_package(folder, tensors):
    entries = []
    for name, values in tensors.items():
        if name.endswith(QUANTISATION):
            continue
        entry = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if name + QUANTISATION in tensors:
            scale, minimum = tensors[name + QUANTISATION]
            entry["quantization"] = {"dtype": "uint8", "scale": float(scale), "min": float(minimum)}
        entries.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps([{"weights": entries, "paths": [BINARY]}]))
    names = [entry["name"] for entry in entries]
    (folder / BINARY).write_bytes(b"".join(np.ascontiguousarray(tensors[name]).tobytes() for name in names))


@pytest.fixture(scope="session")
def tensors():
    """The weights that ship."""
    from safetensors.numpy import load_file

    return load_file(SHIPPED / "weights.safetensors")


@pytest.fixture(scope="session")
def network(tensors):
    from genservice_faces.network import build_network
    from genservice_faces.weights import set_weights

    network = build_network()
    set_weights(network, tensors)
    return network
