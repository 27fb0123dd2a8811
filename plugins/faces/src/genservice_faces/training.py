"""What a training does: the network is trained already, so the window and the threshold are what is fitted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from genservice.errors import DataError, SettingsError
from genservice.model.fit import DataSet, Progress
from genservice.training.cache import cache_folder
from genservice.training.metrics.verification import Roc, pair_distances
from genservice_faces.network import Window, build_network, embed_faces
from genservice_faces.weights import find_weights, read_package, set_weights

_BATCH_ROWS = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training.

    Attributes:
        weights: Folder with the two files of the weights' package; empty: the cache, fetched where it lacks them.
        least_side: Side of the smallest window that is tried, as a part of the picture's smaller side.
        most_side: Side of the greatest.
        sides: How many sides are tried, these two included; 1: `least_side` alone.
        least_top: Where the highest window begins, as a part of the picture's height.
        most_top: Where the lowest begins.
        tops: How many tops are tried, likewise.
        people: Most people whose pictures are looked at.
        pictures: Most pictures of each.
    """

    weights: str = ""
    least_side: float = 1.0
    most_side: float = 1.3
    sides: int = 4
    least_top: float = 0.1
    most_top: float = 0.26
    tops: int = 5
    people: int = 40
    pictures: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures, and who is in them.

    Args:
        images: float32 `[pictures, height, width, channels]` in [-1, 1].
        people: int64 `[pictures]`.
    """

    images: NDArray[np.float32]
    people: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a training chose.

    Args:
        window: See `prepare`.
        threshold: Distance at which the error rates of both kinds of pairs are equal.
        auc: Area under the curve, of the pictures that it was chosen on.
    """

    window: Window
    threshold: float
    auc: float


def read_weights(recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Reads the weights from the recipe's folder, or fetches them.

    Raises:
        DataError: They cannot be had, or are damaged.
    """
    return read_package(Path(recipe.weights) if recipe.weights else find_weights(cache_folder()))


def gather_faces(data: DataSet, recipe: Recipe, *, seed: int) -> Faces:
    """Draws the people and the pictures that are looked at from those to train on.

    Raises:
        DataError: The data is no pictures with labels, or lacks two people or two pictures of each.
    """
    images, people = data.train_inputs, data.train_labels
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or len(images) != len(people):
        raise DataError(f"{data.name} is no set of pictures [rows, height, width, 1 or 3] with labels.")
    draw = np.random.default_rng(seed)
    chosen = draw.permutation(np.unique(people))[: recipe.people]
    rows = [draw.permutation(np.flatnonzero(people == person))[: recipe.pictures] for person in np.sort(chosen)]
    if len(rows) < 2 or min(map(len, rows)) < 2:
        raise DataError(f"{data.name} needs two people or more, and two pictures or more of each, to train on.")
    places = np.sort(np.concatenate(rows))
    return Faces(images[places], people[places])


def windows(image_shape: tuple[int, ...], recipe: Recipe) -> list[Window]:
    """The windows that are tried; all are centred from left to right.

    Args:
        image_shape: Height, width and channels.
        recipe: Which parts of these they take.

    Raises:
        SettingsError: There is none, or one has no pixels.
    """
    if min(recipe.sides, recipe.tops) < 1 or min(recipe.least_side, recipe.most_side) <= 0:
        raise SettingsError("The settings `sides` and `tops` are 1 or more, `least_side` and `most_side` above 0.")
    height, width = image_shape[:2]
    sides = np.linspace(recipe.least_side, recipe.most_side, recipe.sides) * min(height, width)
    tops = np.linspace(recipe.least_top, recipe.most_top, recipe.tops) * height
    return [(round(top), (width - round(side)) // 2, max(round(side), 1)) for side in sides for top in tops]


def choose(faces: Faces, tensors: dict[str, NDArray[Any]], recipe: Recipe, *, progress: Progress) -> Choice:
    """Takes the window with the greatest AUC over all pairs of pictures, and its threshold of equal errors.

    Args:
        faces: What is looked at.
        tensors: The weights.
        recipe: Which windows are tried.
        progress: Told how many have been, and the best AUC so far.
    """
    network = build_network()
    set_weights(network, tensors)
    candidates = windows(faces.images.shape[1:], recipe)
    choices: list[Choice] = []
    for number, window in enumerate(candidates, 1):
        distances, one, other = pair_distances(_embed(network, faces.images, window))
        roc = Roc.of(distances, faces.people[one] == faces.people[other])
        choices.append(Choice(window, equal_error_threshold(roc), roc.auc))
        progress(number, len(candidates), {"auc": max(choice.auc for choice in choices)})
    return max(choices, key=lambda choice: choice.auc)


def equal_error_threshold(roc: Roc) -> float:
    """The threshold at which as large a part of either kind of pairs is taken for the other, as nearly as may be.

    It lies in the middle between two distances that occur.
    """
    differences = np.abs(1 - roc.true_positive_rate - roc.false_positive_rate)
    # The first threshold is below all distances, and no number.
    place = 1 + int(np.argmin(differences[1:]))
    return float(roc.thresholds[place : place + 2].mean())


def _embed(network: keras.Model, images: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    batches = np.split(images, range(_BATCH_ROWS, len(images), _BATCH_ROWS))
    return np.concatenate([keras.ops.convert_to_numpy(embed_faces(network, batch, window)) for batch in batches])
