"""Which operations a graph may have, and that what is refused is named."""

import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from genservice.errors import PluginError
from genservice_savedmodel.families import SavedModel
from genservice_savedmodel.operations import check_operations

ROWS = tf.TensorSpec([None, 2], tf.float32, "x")
CONFIG = {
    "path": "graph",
    "signatures": {"serving_default": {"inputs": {"x": {"shape": [2]}}, "outputs": {"y": {"shape": [2]}}}},
}


def save(folder, function, **attributes):
    """Saves a module whose one signature is a function of `x`."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    module.function = tf.function(lambda x: {"y": function(x)}, input_signature=[ROWS], autograph=False)
    tf.saved_model.save(module, folder / "graph", signatures={"serving_default": module.function})


def load(folder):
    model = SavedModel(CONFIG)
    model.load(folder)
    return model.predict("serving_default", {"x": tf.ones([3, 2])}, None)["y"].numpy().tolist()


def after(effect, x):
    """The rows, once the effect has been had."""
    with tf.control_dependencies([effect]):
        return tf.identity(x)


def python_after(x):
    return x + tf.py_function(lambda rows: rows, [x], tf.float32)


REFUSED = {
    "ReadFile": (lambda x: x * tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32), "read files"),
    "WriteFile": (lambda x: after(tf.io.write_file("/tmp/never", "text"), x), "write files"),
    "MatchingFiles": (lambda x: x + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32), "read files"),
    "EagerPyFunc": (python_after, "runs Python"),
    "PyFunc": (lambda x: x + tf.numpy_function(lambda rows: rows, [x], tf.float32), "runs Python"),
    "PrintV2": (lambda x: after(tf.print("here", output_stream="file:///tmp/never"), x), "write files"),
    "Abort": (lambda x: after(tf.raw_ops.Abort(), x), "ends the process"),
    "SaveV2": (
        lambda x: after(
            tf.raw_ops.SaveV2(prefix="/tmp/never", tensor_names=["x"], shape_and_slices=[""], tensors=[x]), x
        ),
        "write files",
    ),
    "RestoreV2": (
        lambda x: (
            x + tf.raw_ops.RestoreV2(prefix="/a", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])[0]
        ),
        "read files",
    ),
    "TensorDataset": (
        lambda x: x + tf.data.Dataset.from_tensors(1.0).get_single_element(),
        "data sets",
    ),
    "Timestamp": (lambda x: x + tf.cast(tf.timestamp(), tf.float32), "beyond the model's own state"),
    "DecodeProtoV2": (
        lambda x: (
            x
            + tf.cast(
                tf.size(
                    tf.io.decode_proto("bytes", "m", ["f"], [tf.int32], descriptor_source="/etc/hostname")[0],
                ),
                tf.float32,
            )
        ),
        "read files",
    ),
}


@pytest.mark.parametrize("operation", REFUSED)
def test_an_operation_that_reaches_beyond_the_graph_is_refused_with_its_name_and_node(operation, tmp_path):
    function, why = REFUSED[operation]
    save(tmp_path, function)
    with pytest.raises(PluginError, match=rf"operation {operation} \(node \w+.*\), which .*{why}.*; it is refused"):
        load(tmp_path)


def test_an_operation_in_a_branch_of_a_function_is_found_too(tmp_path):
    def branch(x):
        read = tf.function(lambda: tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32))
        return x + tf.cond(tf.reduce_sum(x) > 1e9, read, lambda: 0.0)

    save(tmp_path, branch)
    with pytest.raises(PluginError, match=r"ReadFile .*of the function"):
        load(tmp_path)


def test_a_table_from_a_text_file_is_refused_and_one_in_memory_is_served(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("0\n1\n")
    kinds = {
        "text": tf.lookup.TextFileInitializer(
            str(file), tf.int64, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        "memory": tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([5, 7], tf.int64)),
    }
    for kind, initializer in kinds.items():
        table = tf.lookup.StaticHashTable(initializer, -1)
        folder = tmp_path / kind
        save(folder, lambda x, table=table: tf.cast(table.lookup(tf.cast(x, tf.int64)), tf.float32), table=table)
    with pytest.raises(PluginError, match=r"InitializeTableFromTextFileV2 .*which can read files"):
        load(tmp_path / "text")
    assert load(tmp_path / "memory") == [[7, 7]] * 3


def test_variables_lists_branches_loops_and_random_numbers_are_served(tmp_path):
    def function(x):
        total = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t + counter), (0, tf.zeros_like(x)))[1]
        rows = tf.map_fn(lambda row: row * 2, x)
        random = tf.random.uniform(tf.shape(x)) + tf.random.stateless_normal(tf.shape(x), seed=(1, 2))
        return total + rows + 0 * random + tf.cond(tf.reduce_all(x > 0), lambda: 1.0, lambda: 0.0)

    counter = tf.Variable(2.0)
    save(tmp_path, function, counter=counter)
    assert load(tmp_path) == [[9, 9]] * 3


def edit(folder, change):
    """Rewrites a saved graph as somebody with a hex editor might."""
    file = folder / "graph" / "saved_model.pb"
    content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(content.meta_graphs[0])
    file.write_bytes(content.SerializeToString())


def doubling(graph):
    """The nodes of the function that multiplies."""
    bodies = [function.node_def for function in graph.graph_def.library.function]
    return next(nodes for nodes in bodies if any(node.op == "Mul" for node in nodes))


def saving(graph):
    """Name of the function that saves the variables."""
    names = [function.signature.name for function in graph.graph_def.library.function]
    return next(name for name in names if "traced_save" in name)


def test_an_operation_that_this_tensorflow_does_not_know_is_refused(tmp_path):
    save(tmp_path, lambda x: x * 2)

    def change(graph):
        next(node for node in doubling(graph) if node.op == "Mul").op = "OfMyLibrary"

    edit(tmp_path, change)
    with pytest.raises(PluginError, match=r"OfMyLibrary .*does not know"):
        load(tmp_path)


def test_a_function_that_calls_the_one_that_saves_is_refused(tmp_path):
    save(tmp_path, lambda x: x * 2)

    def change(graph):
        node = node_def_pb2.NodeDef(name="sneaky", op="StatefulPartitionedCall", input=["x"])
        node.attr["f"].func.name = saving(graph)
        doubling(graph).append(node)

    edit(tmp_path, change)
    with pytest.raises(PluginError, match=r"node sneaky of .*calls __inference__traced_save.*write files"):
        load(tmp_path)


def name_as_function(graph):
    graph.object_graph_def.concrete_functions[saving(graph)].canonicalized_input_signature.SetInParent()


def name_as_signature(graph):
    objects = [node for node in graph.object_graph_def.nodes if node.HasField("bare_concrete_function")]
    objects[-1].bare_concrete_function.concrete_function_name = saving(graph)


def name_as_trace(graph):
    (function,) = [node.function for node in graph.object_graph_def.nodes if node.HasField("function")]
    function.concrete_functions.append(saving(graph))


@pytest.mark.parametrize("change", [name_as_function, name_as_signature, name_as_trace])
def test_the_function_that_saves_is_refused_where_it_can_be_called_from_outside(change, tmp_path):
    save(tmp_path, lambda x: x * 2)
    edit(tmp_path, change)
    with pytest.raises(PluginError, match=r"SaveV2 .*write files"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda file: file.unlink(), r"has no saved_model.pb"),
        (lambda file: file.rename(file.with_suffix(".pbtxt")), r"has no saved_model.pb"),
        (lambda file: file.write_bytes(b"\x0anonsense"), "damaged"),
        (lambda file: file.write_bytes(b""), "TensorFlow 1"),
    ],
)
def test_a_graph_that_cannot_be_looked_through_is_refused(change, match, tmp_path):
    save(tmp_path, lambda x: x)
    change(tmp_path / "graph" / "saved_model.pb")
    with pytest.raises(PluginError, match=match):
        load(tmp_path)


def test_a_graph_of_tensorflow_1_is_refused_with_what_helps(tmp_path):
    save(tmp_path, lambda x: x)
    edit(tmp_path, lambda graph: graph.ClearField("object_graph_def"))
    with pytest.raises(PluginError, match=r"TensorFlow 1: save it again by `tf.saved_model.save`"):
        load(tmp_path)


def test_a_graph_without_its_variables_is_refused(tmp_path):
    variable = tf.Variable(2.0)
    save(tmp_path, lambda x: x * variable, variable=variable)
    (tmp_path / "graph" / "variables" / "variables.index").unlink()
    with pytest.raises(PluginError, match="'graph' cannot be loaded"):
        load(tmp_path)


def test_a_function_does_not_lend_its_name_to_an_operation():
    graph = graph_pb2.GraphDef(node=[node_def_pb2.NodeDef(name="node", op="ReadFile")])
    graph.library.function.add().signature.name = "ReadFile"
    graph.library.function.add().signature.name = ""
    with pytest.raises(PluginError, match=r"ReadFile \(node node\)"):
        check_operations(graph)


@pytest.mark.parametrize(
    "operation",
    [
        "PyFuncStateless",
        "ImmutableConst",
        "GenerateVocabRemapping",
        "LMDBReader",
        "ReaderReadV2",
        "TextLineDataset",
        "TFRecordDatasetV2",
        "CacheDatasetV2",
        "SnapshotDataset",
        "IteratorGetNext",
        "CreateSummaryFileWriter",
        "WriteSummary",
        "MergeV2Checkpoints",
        "Restore",
        "RestoreSlice",
        "DebugIdentity",
        "DebugIdentityV3",
        "CopyHost",
        "RemoteCall",
        "RpcCall",
        "_Send",
        "CollectiveReduceV2",
        "DataServiceDatasetV4",
        "XlaCustomCallV2",
        "XlaCallModule",
        "XlaLaunch",
        "SleepOp",
        "Stage",
        "FIFOQueueV2",
        "DeleteSessionTensor",
    ],
)
def test_all_of_a_kind_are_refused(operation):
    graph = graph_pb2.GraphDef(node=[node_def_pb2.NodeDef(name="node", op=operation)])
    with pytest.raises(PluginError, match=rf"{operation} \(node node\)"):
        check_operations(graph)
