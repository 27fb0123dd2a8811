"""Which operations a graph may have: those that compute, and of those that keep state the ones in memory.

An operation that TensorFlow marks as stateful is refused unless it is in `STATEFUL`, so that what a later TensorFlow
adds is refused too. One that it does not mark computes its outputs from its inputs, but for those in `REFUSED`. What
this TensorFlow does not know is refused.
"""

import re
from collections.abc import Collection
from typing import Any

from genservice.errors import PluginError

REFUSED = (
    (r"(Eager)?PyFunc(Stateless)?", "runs Python"),
    (r"PrintV2|CreateSummary\w+|Write\w+|Save\w*|Dump\w+|\w+Saver|\w+ToTFRecord", "can write files"),
    (r"MergeV2Checkpoints|DistributedSave|ShutdownTPU\w*|FileSystemSetConfiguration", "can change files"),
    (
        r"ReadFile|MatchingFiles|\w*Restore(Slice|V2)?|InitializeTableFromTextFile(V2)?|ImmutableConst|LoadAndRemapMatrix"
        r"|GenerateVocabRemapping|(De|En)codeProto(V2)?|FixedUnigramCandidateSampler|Skipgram|RecordInput"
        r"|\w*Reader\w*",
        "can read files",
    ),
    (r"\w*(Dataset|Iterator)\w*", "handles data sets, which can read and write files"),
    (r"Rpc\w+|\w*(Send|Recv)\w*|RemoteCall|Collective\w+|DataService\w+|WorkerHeartbeat", "talks to other processes"),
    (r"Debug\w+|Copy(Host)?", "can send what it sees elsewhere"),
    (
        r"XlaCustomCall(V2)?|XlaCallModule|\w*XlaLaunch(V2)?|MlirPassthroughOp",
        "runs code that is not a TensorFlow operation",
    ),
    (r"Abort", "ends the process"),
)
"""Patterns of names, and what such operations do."""

STATEFUL = re.compile(
    # Variables.
    r"VarHandleOp|VarIsInitializedOp|VariableShape|ReadVariableOp|DestroyResourceOp|DisableCopyOnRead"
    r"|Assign(Add|Sub)?VariableOp|ResourceGather(Nd)?|ResourceScatter\w+|ResourceStridedSliceAssign"
    r"|Resource(Sparse)?Apply\w+"
    # Tables in memory.
    r"|(Anonymous|Mutable|AnonymousMutable)?(Dense)?HashTable(OfTensors)?(V2)?|InitializeTableV2|LookupTable\w+V2"
    # Control flow, and lists of tensors.
    r"|StatefulPartitionedCall|If|While|Case|Assert|CheckNumerics(V2)?|DeviceIndex|GuaranteeConst|Empty"
    r"|TensorArray\w*|Stack\w*"
    # Random numbers.
    r"|Random(StandardNormal|Uniform|UniformInt|Gamma|Poisson|PoissonV2|Shuffle|Crop)|TruncatedNormal"
    r"|ParameterizedTruncatedNormal|Multinomial|SampleDistortedBoundingBox(V2)?|Rng(ReadAnd)?Skip|StatelessRandomGetAlg"
    r"|Stateful(RandomBinomial|StandardNormal(V2)?|TruncatedNormal|Uniform|UniformFullInt|UniformInt)"
    # Recurrent layers on a GPU.
    r"|CudnnRNN(V2|V3)?"
)
"""Names of the stateful operations that a graph may have."""

SAVER = {"SaveV2", "MergeV2Checkpoints", "RestoreV2"}
"""What TensorFlow itself puts into the two functions that save and restore the variables, and into no other."""


def check_operations(graph: Any, exported: Collection[str] = (), saver: Any = None) -> None:
    """Refuses a graph with an operation that reaches beyond the model.

    Args:
        graph: A `GraphDef`, with its library of functions.
        exported: Names of functions that can be called from outside of the graph.
        saver: The `SaverDef` of a SavedModel. Its two functions may save and restore, if nothing else calls them.

    Raises:
        PluginError: The message names the operation, its node and what such operations can do.
    """
    from tensorflow.python.framework import op_def_registry  # the only way to ask what is registered

    bodies = [(function.signature.name, function.node_def) for function in graph.library.function]
    functions = {name for name, _ in bodies}
    saver_nodes = _saver_nodes(saver) if saver is not None else set()
    savers = {name for node in graph.node if node.name in saver_nodes for name in _functions_called(node)}
    savers = (savers & functions) - set(exported)
    for place, nodes in [("", graph.node), *bodies]:
        for node in nodes:
            calls = _functions_called(node) & savers
            if calls and (place or node.name not in saver_nodes):
                raise _refusal(node, place, f"calls {min(calls)}, which can read and write files")
            known = op_def_registry.get(node.op)
            if (known is None and node.op in functions) or (place in savers and node.op in SAVER):
                continue
            if known is None:
                raise _refusal(node, place, "this TensorFlow does not know")
            if why := _why_refused(node.op, known.is_stateful):
                raise _refusal(node, place, why)


def _why_refused(operation: str, is_stateful: bool) -> str:
    if is_stateful and STATEFUL.fullmatch(operation):
        return ""
    for pattern, why in REFUSED:
        if re.fullmatch(pattern, operation):
            return why
    return "reaches beyond the model's own state" if is_stateful else ""


def _refusal(node: Any, place: str, why: str) -> PluginError:
    where = f"node {node.name}" + (f" of the function {place}" if place else "")
    return PluginError(f"The graph has the operation {node.op} ({where}), which {why}; it is refused.")


def _saver_nodes(saver: Any) -> set[str]:
    return {name.split(":")[0] for name in (saver.save_tensor_name, saver.restore_op_name)}


def _functions_called(node: Any) -> set[str]:
    """Names of functions that a node calls or hands on."""
    named = [value.func.name for value in node.attr.values() if value.HasField("func")]
    listed = [function.name for value in node.attr.values() for function in value.list.func]
    return {node.op, *named, *listed}
