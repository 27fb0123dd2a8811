"""The model that ships: it keeps what every model keeps, and tells people apart whom it was not fitted on."""

from pathlib import Path

import numpy as np
import pytest

import genservice_faces
from genservice.errors import DataError, InvalidRequest, OutOfRange
from genservice.testing import ModelConformance
from genservice.training import orl_faces
from genservice.training.cache import cache_folder
from genservice.training.metrics.verification import Roc, pair_distances, rank_one
from genservice_faces.family import FaceEmbedding

MODELS = Path(genservice_faces.__file__).parent / "models"


class TestFaces(ModelConformance):
    family = FaceEmbedding
    store = MODELS
    model = "faces"

    @pytest.mark.parametrize(
        ("shape", "value", "error"),
        [
            ((1, 112, 92, 3), 0, InvalidRequest),
            ((1, 112, 92, 1), 255, OutOfRange),
            ((1, 112, 92, 1), np.nan, InvalidRequest),
        ],
    )
    def test_pictures_of_another_shape_or_range_are_refused(self, harness, shape, value, error):
        with pytest.raises(error):
            harness.call(self.model, "embed", np.full(shape, value, np.float32))

    def test_two_people_are_farther_apart_than_two_pictures_of_one(self, harness, description, held_out):
        faces = np.concatenate([held_out.test_inputs[:3], held_out.test_inputs[10:13]])
        embeddings = harness.call(self.model, "embed", faces)
        distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
        same = np.arange(6)[:, None] // 3 == np.arange(6)[None] // 3
        assert distances[same].max() < description.threshold < distances[~same].min()

    def test_people_who_are_held_out_are_told_apart(self, harness, description, held_out):
        embeddings = harness.call(self.model, "embed", held_out.test_inputs)
        distances, one, other = pair_distances(embeddings)
        same = held_out.test_labels[one] == held_out.test_labels[other]
        roc = Roc.of(distances, same)
        assert roc.auc >= 0.995
        assert roc.true_positives_at(1e-2) >= 0.96
        assert roc.true_positives_at(1e-3) >= 0.83
        # The threshold was chosen on other people.
        taken = distances < description.threshold
        assert taken[same].mean() >= 0.97
        assert taken[~same].mean() <= 0.04
        assert rank_one(embeddings, held_out.test_labels) >= 0.96


@pytest.fixture(scope="module")
def held_out():
    try:
        return orl_faces.load(cache_folder(), fetchers=())
    except DataError as missing:
        pytest.skip(missing.message)
