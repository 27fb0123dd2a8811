"""Saves and loads the variables of a Keras model as safetensors, keyed by variable path."""

from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file, save_file


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the model's variables by readable path, such as `stage14/conv1/kernel`.

    The leading model name, which Keras adds for some kinds of model only, is dropped. Random-number state (dropout
    seeds) is no weight and is left out.

    Args:
        model: A built model.

    Returns:
        All weights, trainable or not, by path, in the model's own order.

    Raises:
        ValueError: If two variables share one path.
    """
    named: dict[str, keras.Variable] = {}
    for variable in model.weights:
        path = variable.path.removeprefix(f"{model.name}/")
        if path in named:
            raise ValueError(f"model {model.name!r} has two variables with the path {path!r}")
        named[path] = variable
    return named


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes the model's variables to a safetensors file, whole or not at all.

    Args:
        model: A built model.
        path: The file to write; an existing one is replaced atomically.
    """
    tensors = {
        name: np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        for name, variable in named_variables(model).items()
    }
    partial = path.with_name(f"{path.name}.partial")
    save_file(tensors, partial)
    partial.replace(path)


def load_weights(model: keras.Model, path: Path) -> None:
    """Assigns the tensors of a safetensors file to the model's variables.

    Args:
        model: A built model of the architecture that was saved.
        path: A file written by `save_weights`.

    Raises:
        ValueError: If a name is missing or unknown, or a shape differs; the model is then unchanged.
    """
    tensors = load_file(path)
    variables = named_variables(model)
    missing, unknown = sorted(variables.keys() - tensors.keys()), sorted(tensors.keys() - variables.keys())
    if missing or unknown:
        raise ValueError(f"{path} does not fit model {model.name!r}: missing {missing}, unknown {unknown}")
    for name, variable in variables.items():
        if tensors[name].shape != tuple(variable.shape):
            raise ValueError(f"{path}: {name} has shape {tensors[name].shape}, not {tuple(variable.shape)}")
    for name, variable in variables.items():
        variable.assign(tensors[name])
