"""The families `decision-tree` and `random-forest`: all trees are walked at once, in one graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice import FitRun
from genservice_classifiers.conversion import Arrays, ConvertedClassifier, require_shapes, table, training_table

FEATURE, THRESHOLD, NEXT = "nodes/feature", "nodes/threshold", "nodes/next"
THRESHOLDS = "thresholds"
TREES = "trees/nodes"
COUNTS = "leaves/counts"


@dataclass(frozen=True)
class TreeRecipe:
    """Settings of the training of a tree.

    Attributes:
        most_leaves: Leaves of a tree, at most; 0: no limit.
        least_rows: Rows of the training in each leaf, at least.
    """

    most_leaves: int = 0
    least_rows: int = 1

    def limits(self) -> dict[str, Any]:
        """The same as scikit-learn names it."""
        return {"max_leaf_nodes": self.most_leaves or None, "min_samples_leaf": self.least_rows}


@dataclass(frozen=True)
class ForestRecipe(TreeRecipe):
    """Settings of the training of a forest.

    Attributes:
        trees: How many.
    """

    trees: int = 50


class TreeClassifier(ConvertedClassifier):
    """What trees and forests share: the mean of the label shares in the leaves that a row falls into.

    A version stores all nodes of all trees in a row, each tree from its root on, and the two children of a node side by
    side. `threshold` is a node's place in `thresholds`; `next` is its left child, counted from the root. Of a leaf,
    whose threshold is infinite, `next` is the row of `counts` that has the training rows of each label there, divided
    by what they have in common.

    Args:
        config: As `ConvertedClassifier`'s, and `depth`: the most decisions on the way to a leaf.
    """

    def _set_arrays(self, arrays: Arrays) -> None:
        import tensorflow as tf

        nodes = len(arrays[NEXT]) if NEXT in arrays else None
        require_shapes(
            arrays,
            {
                FEATURE: (nodes,),
                THRESHOLD: (nodes,),
                NEXT: (nodes,),
                THRESHOLDS: (None,),
                TREES: (None,),
                COUNTS: (None, len(self.labels)),
            },
        )
        sizes = arrays[TREES].astype(np.int64)
        roots = np.cumsum(sizes) - sizes
        onward = arrays[NEXT].astype(np.int64)
        thresholds = arrays[THRESHOLDS][arrays[THRESHOLD]]
        is_leaf = np.isinf(thresholds)
        # A leaf leads to itself, so that rows wait there for those that have farther to go.
        left = np.where(is_leaf, np.arange(len(onward)), np.repeat(roots, sizes) + onward)
        counts = arrays[COUNTS].astype(np.float64)
        self._roots = tf.constant(roots.astype(np.int32))
        self._left = tf.constant(left.astype(np.int32))
        self._feature = tf.constant(arrays[FEATURE].astype(np.int32))
        self._threshold = tf.constant(thresholds)
        self._leaf = tf.constant(np.where(is_leaf, onward, 0).astype(np.int32))
        self._shares = tf.constant(counts / counts.sum(axis=1, keepdims=True))

    def logits(self, inputs: Any, options: Any) -> Any:
        """Log of the mean share of each label, float64 `[batch, labels]`; -inf for one that no leaf has."""
        import tensorflow as tf

        rows = self._flat(inputs)

        def descend(nodes: Any) -> tuple[Any]:
            values = tf.gather(rows, tf.gather(self._feature, nodes), batch_dims=1)
            goes_right = values > tf.gather(self._threshold, nodes)
            return (tf.gather(self._left, nodes) + tf.cast(goes_right, tf.int32),)

        at_roots = tf.repeat(self._roots[None, :], tf.shape(rows)[0], axis=0)
        (leaves,) = tf.while_loop(lambda nodes: True, descend, (at_roots,), maximum_iterations=self.config["depth"])
        shares = tf.gather(self._shares, tf.gather(self._leaf, leaves))
        return tf.math.log(tf.reduce_mean(shares, axis=1))

    @classmethod
    def _publish_trees(cls, run: FitRun, estimator: Any, trees: Sequence[Any]) -> Mapping[str, Any]:
        """Writes what scikit-learn has grown: `trees` are its `tree_`s."""
        arrays = tree_arrays(trees)
        wanted = estimator.predict_proba(table(run.data.test_inputs))
        return cls._publish(run, arrays, wanted, depth=max(int(tree.max_depth) for tree in trees))


class DecisionTree(TreeClassifier):
    """A classification tree (Breiman, Friedman, Olshen & Stone 1984), split by Gini impurity."""

    family = "decision-tree"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Grows the tree; the settings are the fields of `TreeRecipe`."""
        from sklearn.tree import DecisionTreeClassifier

        recipe = run.recipe(TreeRecipe)
        rows, labels = training_table(run)
        run.progress(0, 2, {})
        estimator = DecisionTreeClassifier(**recipe.limits(), random_state=run.seed).fit(rows, labels)
        run.progress(1, 2, {"leaves": float(estimator.get_n_leaves())})
        config = cls._publish_trees(run, estimator, [estimator.tree_])
        run.progress(2, 2, {})
        return config


class RandomForest(TreeClassifier):
    """Trees of rows drawn with replacement, each split chosen among few features drawn at random (Breiman 2001)."""

    family = "random-forest"

    @classmethod
    def fit(cls, run: FitRun) -> Mapping[str, Any]:
        """Grows the trees; the settings are the fields of `ForestRecipe`."""
        from sklearn.ensemble import RandomForestClassifier

        recipe = run.recipe(ForestRecipe)
        rows, labels = training_table(run)
        estimator = RandomForestClassifier(1, **recipe.limits(), random_state=run.seed, warm_start=True)
        for trees in range(1, recipe.trees + 1):
            # One by one, for the progress: the forest is the same as if they were grown at once.
            estimator.set_params(n_estimators=trees).fit(rows, labels)
            run.progress(trees, recipe.trees + 1, {})
        config = cls._publish_trees(run, estimator, [tree.tree_ for tree in estimator.estimators_])
        run.progress(recipe.trees + 1, recipe.trees + 1, {})
        return config


def tree_arrays(trees: Sequence[Any]) -> Arrays:
    """What a version stores of trees; see `TreeClassifier`.

    Args:
        trees: `sklearn.tree._tree.Tree`s, grown on rows of weight 1.

    Returns:
        Arrays by name, each of the smallest unsigned type that holds its numbers.
    """
    parts: dict[str, list[NDArray[Any]]] = {FEATURE: [], THRESHOLD: [], NEXT: []}
    leaf_counts = []
    leaves = 0
    for tree in trees:
        order = _children_side_by_side(tree)
        is_leaf = tree.children_left[order] < 0
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        counts = _leaf_counts(tree, order[is_leaf])
        onward = places[tree.children_left[order]]
        onward[is_leaf] = leaves + np.arange(len(counts))
        leaves += len(counts)
        parts[FEATURE].append(np.where(is_leaf, 0, tree.feature[order]))
        parts[THRESHOLD].append(np.where(is_leaf, np.float32(inf), float32_below(tree.threshold[order])))
        parts[NEXT].append(onward)
        leaf_counts.append(counts)
    distinct, row_of_leaf = np.unique(np.concatenate(leaf_counts), axis=0, return_inverse=True)
    arrays = {name: np.concatenate(part) for name, part in parts.items()}
    is_leaf = np.isinf(arrays[THRESHOLD])
    arrays[NEXT][is_leaf] = row_of_leaf.ravel()[arrays[NEXT][is_leaf]]
    thresholds, places = np.unique(arrays[THRESHOLD], return_inverse=True)
    sizes = np.array([tree.node_count for tree in trees])
    return {
        FEATURE: _smallest(arrays[FEATURE]),
        THRESHOLD: _smallest(places),
        THRESHOLDS: thresholds,
        NEXT: _smallest(arrays[NEXT]),
        TREES: _smallest(sizes),
        COUNTS: _smallest(distinct),
    }


def float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The greatest float32 numbers that are not above: a float32 x is above the one where it is above the other."""
    rounded = values.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-inf))
    return np.where(rounded > values, below, rounded)


def _children_side_by_side(tree: Any) -> NDArray[np.int64]:
    """The nodes of a tree from the root on, each right child after the left one."""
    order = [0]
    for node in order:  # It grows meanwhile.
        if tree.children_left[node] >= 0:
            order += [tree.children_left[node], tree.children_right[node]]
    return np.array(order)


def _leaf_counts(tree: Any, leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """Training rows of each label in each leaf, divided by what they have in common, `[leaves, labels]`."""
    counts = np.rint(tree.value[leaves, 0] * tree.weighted_n_node_samples[leaves, None]).astype(np.int64)
    return counts // np.gcd.reduce(counts, axis=1, keepdims=True)


def _smallest(numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Whole numbers of 0 or greater in the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
