"""Weights of Keras models as safetensors: a tensor a variable, by the variable's path; nothing in them can run code."""

from pathlib import Path
from typing import Any

import numpy as np

from genservice.errors import IntegrityError, PluginError


def named_variables(model: Any) -> dict[str, Any]:
    """The variables of a Keras model by readable path, such as `stage14/conv1/kernel`.

    The leading model name, which Keras adds for some kinds of model only, is dropped. The state of random numbers
    (dropout seeds) is no weight and is left out.

    Args:
        model: A built `keras.Model`.

    Returns:
        All weights, trainable or not, in the model's own order.

    Raises:
        PluginError: Two variables share one path.
    """
    named: dict[str, Any] = {}
    for variable in model.weights:
        path = variable.path.removeprefix(f"{model.name}/")
        if path in named:
            raise PluginError(f"The Keras model {model.name!r} has two variables with the path {path!r}.")
        named[path] = variable
    return named


def save_weights(model: Any, path: Path) -> None:
    """Writes the weights of a Keras model, whole or not at all.

    Args:
        model: A built `keras.Model`.
        path: The file to write; an existing one is replaced atomically.
    """
    import keras
    from safetensors.numpy import save_file

    tensors = {
        name: np.ascontiguousarray(keras.ops.convert_to_numpy(keras.ops.copy(variable)))
        for name, variable in named_variables(model).items()
    }
    partial = path.with_name(f"{path.name}.partial")
    save_file(tensors, partial)
    partial.replace(path)


def load_weights(model: Any, path: Path) -> None:
    """Sets the weights of a Keras model.

    Args:
        model: A built `keras.Model` of the architecture that was saved.
        path: A file written by `save_weights`.

    Raises:
        IntegrityError: A name is missing or not known, or a shape differs; the model is then unchanged.
    """
    from safetensors.numpy import load_file

    tensors = load_file(path)
    variables = named_variables(model)
    missing, unknown = sorted(variables.keys() - tensors.keys()), sorted(tensors.keys() - variables.keys())
    if missing or unknown:
        raise IntegrityError(f"{path.name} does not fit the model: missing {missing}, not known {unknown}.")
    for name, variable in variables.items():
        if tensors[name].shape != tuple(variable.shape):
            shape = tensors[name].shape
            raise IntegrityError(f"{path.name}: {name} has the shape {shape}, not {tuple(variable.shape)}.")
    for name, variable in variables.items():
        variable.assign(tensors[name])
