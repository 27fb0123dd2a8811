"""A training on a few patterns that stand for people."""

import numpy as np
import pytest

from genservice.errors import DataError, SettingsError
from genservice.model.fit import DataSet, FitRun
from genservice.training.metrics.verification import Roc
from genservice_faces.family import FaceEmbedding
from genservice_faces.training import Recipe, equal_error_threshold, gather_faces, windows

SMALL = {"sides": 2, "tops": 1}


def people(count=3, pictures=4, *, channels=1):
    """Every person is a pattern of stripes, every picture of them a little brighter or darker."""
    labels = np.arange(count).repeat(pictures)
    columns = np.arange(40)
    images = np.stack([np.tile(np.sin(columns * (label + 1) / 6), (48, 1)) for label in labels])
    images = images * np.tile(np.linspace(0.5, 0.9, pictures), count)[:, None, None]
    images = np.repeat(images[..., None], channels, axis=3).astype(np.float32)
    none = np.zeros((0, *images.shape[1:]), np.float32)
    return DataSet("stripes", images, labels, none, labels[:0], [str(n) for n in range(count)], "CC0-1.0", "")


@pytest.fixture(scope="module")
def package(tmp_path_factory, tensors, write_package):
    folder = tmp_path_factory.mktemp("package")
    write_package(folder, tensors)
    return folder


def test_a_training_chooses_a_window_and_a_threshold_and_its_files_load(package, tmp_path):
    told = []
    data = people()
    run = FitRun(
        tmp_path,
        tmp_path,
        data,
        0,
        {**SMALL, "weights": str(package)},
        lambda done, total, figures: told.append((done, total, figures["auc"])),
    )
    config = FaceEmbedding.fit(run)
    assert [step[:2] for step in told] == [(1, 2), (2, 2)]
    assert told[0][2] <= told[1][2]
    assert config["image_shape"] == [48, 40, 1]
    assert config["window"][1:] in ([0, 40], [-6, 52])
    model = FaceEmbedding(config)
    model.load(tmp_path)
    embeddings = np.asarray(model.embed(data.train_inputs, None))
    assert embeddings.shape == (12, 128)
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    same = data.train_labels[:, None] == data.train_labels[None]
    errors = (distances[same] >= model.threshold).mean(), (distances[~same] < model.threshold).mean()
    assert max(errors) < 0.25


def test_a_training_is_the_same_for_a_seed_and_looks_at_some_people_only():
    data = people(5, 6)
    recipe = Recipe(people=3, pictures=2)
    one, again, other = (gather_faces(data, recipe, seed=seed) for seed in (0, 0, 1))
    assert sorted(np.bincount(one.people, minlength=5)) == [0, 0, 2, 2, 2]
    np.testing.assert_array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    for image, person in zip(one.images, one.people, strict=True):
        assert any(np.array_equal(image, other) for other in data.train_inputs[data.train_labels == person])


def test_windows_are_centred_and_may_reach_beyond_the_picture():
    tried = windows((112, 92, 1), Recipe(least_side=1.0, most_side=1.2, sides=2, least_top=0.1, most_top=0.2, tops=2))
    assert tried == [(11, 0, 92), (22, 0, 92), (11, -9, 110), (22, -9, 110)]


def test_both_kinds_of_pairs_have_as_many_errors_at_the_threshold():
    draw = np.random.default_rng(0)
    distances = np.concatenate([draw.normal(1, 0.3, 200), draw.normal(2, 0.3, 3000)])
    same = np.arange(3200) < 200
    threshold = equal_error_threshold(Roc.of(distances, same))
    assert (distances[same] >= threshold).mean() == pytest.approx((distances[~same] < threshold).mean(), abs=0.005)


@pytest.mark.parametrize(
    ("distances", "least", "most"), [([1.0, 2.0, 4.0, 5.0], 2, 4), ([0.0] * 4, 0, 0), ([4.0, 5.0, 1.0, 2.0], 0.5, 5.5)]
)
def test_the_threshold_lies_between_distances_and_is_a_number(distances, least, most):
    roc = Roc.of(np.array(distances), np.array([True, True, False, False]))
    assert least <= equal_error_threshold(roc) <= most


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"side": 2}, "sides"), ({"sides": 0}, "1 or more"), ({"tops": 0}, "1 or more"), ({"least_side": 0.0}, "above 0")],
)
def test_settings_that_are_not_known_or_leave_no_window_are_refused(settings, message, package, tmp_path):
    with pytest.raises(SettingsError, match=message):
        FaceEmbedding.fit(FitRun(tmp_path, tmp_path, people(), 0, {"weights": str(package), **settings}))


def test_data_without_pictures_or_without_pairs_is_refused():
    texts = DataSet("texts", np.array(["a"], object), np.zeros(0, int), np.array([]), np.zeros(0, int), (), "", "")
    for data, message in (
        (texts, "texts is no set of pictures"),
        (people(channels=2), "is no set of pictures"),
        (people(1), "needs two people"),
        (people(3, 1), "two pictures or more"),
    ):
        with pytest.raises(DataError, match=message):
            gather_faces(data, Recipe(), seed=0)
