"""Classifiers: logistic regression, support vector machines, networks, nearest neighbours, trees and forests."""

from pathlib import Path

from genservice import Model, hookimpl
from genservice_classifiers.families import ConvolutionalNetwork, MultilayerPerceptron
from genservice_classifiers.logistic import LogisticRegression
from genservice_classifiers.nearest_neighbours import NearestNeighbours
from genservice_classifiers.svm import SupportVectorMachine
from genservice_classifiers.trees import DecisionTree, RandomForest

requires_genservice = ">=0.1,<0.2"


@hookimpl
def genservice_register_families() -> list[type[Model]]:
    """The families of this plugin."""
    return [
        ConvolutionalNetwork,
        DecisionTree,
        LogisticRegression,
        MultilayerPerceptron,
        NearestNeighbours,
        RandomForest,
        SupportVectorMachine,
    ]


@hookimpl
def genservice_register_stores() -> list[Path]:
    """The models that ship with it."""
    return [Path(__file__).parent / "models"]
