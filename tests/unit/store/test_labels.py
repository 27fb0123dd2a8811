import subprocess
import sys

import pytest

from genservice.errors import InvalidName, NotFound, StoreError
from genservice.store.store import ModelStore


@pytest.fixture
def gan(store, build):
    for _ in range(4):
        store.publish("gan", build({}))
    return store


def test_a_model_has_no_labels_at_first(gan):
    assert gan.labels("gan") == {}


def test_a_label_is_set_moved_and_removed(gan, root):
    gan.set_label("gan", "stable", 3)
    gan.set_label("gan", "canary", 4)
    assert (root / "gan" / "labels.toml").read_text() == "canary = 4\nstable = 3\n"
    gan.set_label("gan", "stable", 4)
    gan.set_label("gan", "canary", None)
    assert gan.labels("gan") == {"stable": 4}


def test_removing_a_label_that_is_not_there_changes_nothing(gan):
    gan.set_label("gan", "stable", 1)
    gan.set_label("gan", "canary", None)
    assert gan.labels("gan") == {"stable": 1}


def test_a_label_with_a_dot_is_read_back(gan):
    gan.set_label("gan", "v1.2", 1)
    assert gan.labels("gan") == {"v1.2": 1}


def test_a_label_points_only_to_a_version_that_there_is(gan):
    with pytest.raises(NotFound, match="no version 9"):
        gan.set_label("gan", "stable", 9)
    assert gan.labels("gan") == {}


@pytest.mark.parametrize("label", ["Stable", "..", "a/b", ""])
def test_an_unsafe_label_is_refused(gan, label):
    with pytest.raises(InvalidName, match="cannot name a label"):
        gan.set_label("gan", label, 1)


def test_the_labels_of_a_root_that_is_not_the_first_are_read_only(gan, root, tmp_path):
    gan.set_label("gan", "stable", 1)
    store = ModelStore([tmp_path / "own", root])
    assert store.labels("gan") == {"stable": 1}
    with pytest.raises(StoreError, match="read-only"):
        store.set_label("gan", "stable", 2)


@pytest.mark.parametrize("text", ["stable = ", "stable = true", "stable = '3'", "stable = 0", "v1.2 = 3", "A = 1"])
def test_a_damaged_file_is_named_and_other_models_are_still_served(gan, root, build, text):
    gan.publish("vae", build({}))
    (root / "gan" / "labels.toml").write_text(text)
    with pytest.raises(StoreError, match=r"gan/labels\.toml"):
        gan.labels("gan")
    assert gan.models() == ["gan", "vae"]
    assert gan.labels("vae") == {}


def test_nothing_but_the_labels_is_left_behind(gan, root):
    gan.set_label("gan", "stable", 1)
    assert sorted(path.name for path in (root / "gan").iterdir()) == ["1", "2", "3", "4", "labels.toml"]


SET_TEN = """
import sys
from pathlib import Path
from genservice.store.store import ModelStore
for number in range(10):
    ModelStore([Path(sys.argv[1])]).set_label("gan", f"{sys.argv[2]}-{number}", 1)
"""


def test_processes_that_set_labels_at_once_lose_none(gan, root):
    writers = [subprocess.Popen([sys.executable, "-c", SET_TEN, str(root), name]) for name in ["left", "right"]]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(gan.labels("gan")) == [f"{name}-{number}" for name in ["left", "right"] for number in range(10)]
