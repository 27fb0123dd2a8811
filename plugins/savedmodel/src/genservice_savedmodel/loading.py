"""Loads a SavedModel or a `.keras` file: checked first, then called, and found to be what the config declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genservice import TensorSpec
from genservice.errors import PluginError, suggestion
from genservice_savedmodel.declarations import Function
from genservice_savedmodel.operations import check_operations

GRAPH_FILE = "saved_model.pb"


@dataclass(frozen=True, slots=True)
class Graph:
    """What was loaded.

    Args:
        functions: By signature: a function of named tensors that gives named tensors.
        owner: What holds the variables and tables of the functions, which do not hold them themselves.
    """

    functions: Mapping[str, Any]
    owner: Any


def load_graph(path: Path, declared: Mapping[str, Function]) -> Graph:
    """Loads a graph.

    Args:
        path: Folder of a SavedModel, or a `.keras` file.
        declared: The signatures, by name.

    Returns:
        The graph, with the declared signatures at least.

    Raises:
        PluginError: It is neither, cannot be loaded, has an operation that is refused, or is not as declared.
    """
    if path.is_dir():
        owner, functions = _load_saved_model(path)
    elif path.suffix == ".keras" and path.is_file():
        from genservice_savedmodel.keras_file import load_keras_file

        owner, functions = load_keras_file(path, declared)
    else:
        raise PluginError(f"The version has no SavedModel's folder and no `.keras` file of the name {path.name!r}.")
    for name, signature in declared.items():
        if name not in functions:
            raise PluginError(f"The graph has no signature {name!r}.{suggestion(name, functions)}")
        _check_agreement(name, signature, functions[name])
    return Graph(functions, owner)


def _load_saved_model(path: Path) -> tuple[Any, Mapping[str, Any]]:
    import tensorflow as tf

    _check_saved_model(path)
    try:
        loaded = tf.saved_model.load(path)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as fault:
        raise PluginError(f"The SavedModel {path.name!r} cannot be loaded: {_first_line(fault)}") from fault
    return loaded, loaded.signatures


def _check_saved_model(path: Path) -> None:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / GRAPH_FILE
    if not file.is_file():
        # TensorFlow would read a text form too, and that form is not what is checked here.
        raise PluginError(f"The SavedModel {path.name!r} has no {GRAPH_FILE}.")
    try:
        content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except DecodeError as fault:
        raise PluginError(f"The file {GRAPH_FILE} of {path.name!r} is damaged.") from fault
    if len(content.meta_graphs) != 1 or not content.meta_graphs[0].HasField("object_graph_def"):
        raise PluginError(f"{path.name!r} is a SavedModel of TensorFlow 1: save it again by `tf.saved_model.save`.")
    (graph,) = content.meta_graphs
    check_operations(graph.graph_def, _exported(graph.object_graph_def), graph.saver_def)


def _exported(objects: Any) -> set[str]:
    """Names of the functions that the objects of a SavedModel can call."""
    bare = {node.bare_concrete_function.concrete_function_name for node in objects.nodes}
    traced = {name for node in objects.nodes for name in node.function.concrete_functions}
    return {*objects.concrete_functions, *bare, *traced}


def _check_agreement(name: str, declared: Function, function: Any) -> None:
    """Holds what is declared against the graph."""
    _, takes = function.structured_input_signature
    for kind, tensors, found in (
        ("input", declared.inputs, takes),
        ("output", declared.outputs, function.structured_outputs),
    ):
        for tensor in tensors:
            place = f"the {kind} {tensor!r} of the signature {name!r}"
            if tensor not in found:
                raise PluginError(f"The config declares {place}, and the graph has none.{suggestion(tensor, found)}")
            _check_tensor(place, tensors[tensor].spec, found[tensor])
    if missing := sorted(set(takes) - set(declared.inputs)):
        raise PluginError(f"The signature {name!r} takes {', '.join(missing)} too, which the config does not declare.")


def _check_tensor(place: str, declared: TensorSpec, found: Any) -> None:
    if declared.dtype != found.dtype.name:
        raise PluginError(f"The config declares {place} as {declared.dtype}; the graph has {found.dtype.name}.")
    if found.shape.rank is None:
        return
    extents = found.shape.as_list()
    if not extents or extents[0] is not None:
        raise PluginError(
            f"The graph has {place} in the shape {extents}: its first dimension is the rows, and has to be open (None)."
        )
    fits = len(extents) == len(declared.shape) + 1 and all(
        inside in (None, wanted) for wanted, inside in zip(declared.shape, extents[1:], strict=True)
    )
    if not fits:
        raise PluginError(
            f"The config declares {place} in the shape {list(declared.shape)} a row; the graph has {extents[1:]}."
        )


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:300]
