import numpy as np
import pytest

from genservice.engine.tracing import Graph

tf = pytest.importorskip("tensorflow")
ANY_ROWS = [tf.TensorSpec([None, 2], tf.float32)]


@pytest.mark.parametrize("signature", [ANY_ROWS, None])
def test_a_graph_gives_arrays_in_the_structure_of_what_its_function_returns(signature):
    graph = Graph(tf, lambda rows: {"twice": 2 * rows, "both": (rows + 1, [tf.reduce_sum(rows, axis=1)])}, signature)
    for count in (1, 3, 1):
        rows = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
        given = graph(rows)
        np.testing.assert_array_equal(given["twice"], 2 * rows)
        np.testing.assert_array_equal(given["both"][0], rows + 1)
        np.testing.assert_array_equal(given["both"][1][0], rows.sum(axis=1))


def test_a_graph_that_returns_nothing_has_its_effect():
    total = tf.Variable(tf.zeros([2]))

    def add(rows):
        total.assign_add(tf.reduce_sum(rows, axis=0))

    assert Graph(tf, add, ANY_ROWS)(np.ones((3, 2), np.float32)) is None
    np.testing.assert_array_equal(total.numpy(), [3, 3])


def test_without_a_signature_xla_compiles_it():
    def python(rows):
        return tf.numpy_function(lambda values: values, [rows], tf.float32)

    rows = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(Graph(tf, python, ANY_ROWS)(rows), rows)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"):
        Graph(tf, python, None)(rows)
