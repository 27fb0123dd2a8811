"""Loads a `.keras` file: layers of Keras's own, built by their names and given weights; no code comes with it."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genservice.errors import PluginError
from genservice_savedmodel.declarations import Function, Tensor
from genservice_savedmodel.operations import check_operations

CONFIG_FILE = "config.json"
REFUSED_CLASSES = {
    "Lambda": "is Python code",
    "__lambda__": "is Python code",
    "TFSMLayer": "reads another graph from a file",
    "TorchModuleWrapper": "is a pickle, which can run code",
    "JaxLayer": "runs code that is not Keras's own",
    "FlaxLayer": "runs code that is not Keras's own",
}


def load_keras_file(path: Path, declared: Mapping[str, Function]) -> tuple[Any, Mapping[str, Any]]:
    """Loads a model, and traces its one function.

    Args:
        path: The file.
        declared: The one signature. Its inputs and outputs have the names of the model's input and output layers; where
            there is one of a kind, its name is free.

    Returns:
        The model, which holds the variables; the signature's function by its name.

    Raises:
        PluginError: It is damaged, has a part that could run code, is not of fixed inputs, or `declared` has not one
            signature.
    """
    import keras
    import tensorflow as tf

    if len(declared) != 1:
        raise PluginError(f"A `.keras` file has one signature; the config declares {len(declared)}.")
    ((name, signature),) = declared.items()
    _check_classes(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        # The same layers between lists of tensors, whatever structure the model has.
        model = keras.Model(list(model.inputs), list(model.outputs))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise PluginError(f"{path.name!r} cannot be loaded: {str(fault).strip().splitlines()[0][:300]}") from fault
    input_names = _names([tensor.name for tensor in model.inputs], signature.inputs)
    output_names = _names(model.output_names, signature.outputs)

    def call(**tensors: Any) -> Mapping[str, Any]:
        outputs = model([tensors[name] for name in input_names], training=False)
        return dict(zip(output_names, tf.nest.flatten(outputs), strict=True))

    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
        for name, tensor in zip(input_names, model.inputs, strict=True)
    }
    function = tf.function(call, autograph=False).get_concrete_function(**specs)
    check_operations(function.graph.as_graph_def())
    return model, {name: function}


def _check_classes(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(CONFIG_FILE))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as fault:
        raise PluginError(f"{path.name!r} is no `.keras` file, or is damaged.") from fault
    # The optimizer, losses and metrics are not loaded.
    config.pop("compile_config", None)
    for part in _objects(config):
        kind, module = str(part["class_name"]), part.get("module")
        name = part.get("config", {}).get("name", "") if isinstance(part.get("config"), dict) else ""
        place = f"{path.name!r} has a {kind}" + (f" ({name})" if name else "")
        if kind in REFUSED_CLASSES:
            raise PluginError(f"{place}, which {REFUSED_CLASSES[kind]}; it is refused.")
        own = module is None or module.split(".")[0] == "keras" or (kind == "function" and module == "builtins")
        if not own or (kind == "function" and module != "builtins"):
            raise PluginError(f"{place} of {module}, which is no layer of Keras's own; it is refused.")


def _objects(part: Any) -> Iterator[Mapping[str, Any]]:
    """All parts of a config that name a class."""
    if isinstance(part, dict):
        if "class_name" in part:
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _objects(inner)


def _names(own: list[str], declared: Mapping[str, Tensor]) -> list[str]:
    return list(declared) if len(own) == len(declared) == 1 else own
