import hashlib

import pytest

from genservice.errors import InvalidName, NotFound, StoreError
from genservice.store.store import ModelStore


def test_a_store_needs_a_root():
    with pytest.raises(StoreError, match="at least one folder"):
        ModelStore([])


def test_a_root_that_does_not_exist_is_empty(store):
    assert store.models() == []
    assert store.problems() == []
    assert store.sweep() == []


def test_models_and_versions_are_listed_in_order(store, build):
    for model in ["zebra", "ant", "zebra"]:
        store.publish(model, build({}))
    assert store.models() == ["ant", "zebra"]
    assert store.versions("zebra") == [1, 2]


def test_versions_are_ordered_as_numbers(store, build):
    for _ in range(11):
        store.publish("gan", build({}))
    assert store.versions("gan") == list(range(1, 12))


def test_folders_that_are_no_version_and_no_model_are_ignored(store, root, build):
    store.publish("gan", build({}))
    for name in ["03", "latest", "0", ".2.ab.partial", "-1"]:
        (root / "gan" / name).mkdir()
    for name in [".git", "Upper", "empty", "lost+found"]:
        (root / name).mkdir()
    (root / "README.md").write_text("hello")
    (root / "gan" / "7").write_text("a file")
    assert store.models() == ["gan"]
    assert store.versions("gan") == [1]


def test_an_unknown_model_is_not_found_and_the_nearest_is_suggested(store, build):
    store.publish("fashion-gan", build({}))
    with pytest.raises(NotFound, match=r"no model 'fashion-gna'\. Did you mean 'fashion-gan'\?"):
        store.versions("fashion-gna")


def test_an_unknown_version_is_not_found_and_those_there_are_listed(store, build):
    store.publish("gan", build({}))
    store.publish("gan", build({}))
    with pytest.raises(NotFound, match=r"'gan' has no version 5\. There are: '1', '2'\."):
        store.manifest("gan", 5)


@pytest.mark.parametrize("model", ["../gan", "", "Gan", "a/b", ".."])
def test_an_unsafe_model_name_is_refused_everywhere(store, build, model):
    for act in [
        lambda: store.versions(model),
        lambda: store.manifest(model, 1),
        lambda: store.verify(model, 1),
        lambda: store.labels(model),
        lambda: store.set_label(model, "stable", 1),
        lambda: store.publish(model, build({})),
    ]:
        with pytest.raises(InvalidName):
            act()


def test_the_content_hash_is_that_of_the_manifest_and_differs_with_any_file(store, build):
    first, second = (store.publish("gan", build({"w": content})) for content in [b"one", b"two"])
    written = (store.directory("gan", first) / "model.toml").read_bytes()
    assert store.content_hash("gan", first) == hashlib.sha256(written).hexdigest()
    assert store.content_hash("gan", first) != store.content_hash("gan", second)


def test_several_roots_are_seen_as_one_store(tmp_path, build):
    for root, model in [("own", "gan"), ("shipped", "vae")]:
        ModelStore([tmp_path / root]).publish(model, build({}))
    store = ModelStore([tmp_path / "own", tmp_path / "shipped"])
    assert store.models() == ["gan", "vae"]
    assert store.directory("vae", 1) == tmp_path / "shipped" / "vae" / "1"
    assert store.problems() == []


def test_of_a_model_in_two_roots_the_first_wins_and_the_other_is_told(tmp_path, build):
    shipped = ModelStore([tmp_path / "shipped"])
    shipped.publish("gan", build({"w": b"shipped"}))
    shipped.publish("gan", build({}))
    store = ModelStore([tmp_path / "own", tmp_path / "shipped"])
    assert store.publish("gan", build({"w": b"own"})) == 3, "a number that was ever served is not used again"
    assert store.models() == ["gan"]
    assert store.versions("gan") == [3]
    assert store.problems() == [
        f"{tmp_path / 'shipped' / 'gan'} is hidden by {tmp_path / 'own' / 'gan'}, which has the same name."
    ]


def test_a_half_written_first_version_hides_nothing(tmp_path, build):
    ModelStore([tmp_path / "shipped"]).publish("gan", build({}))
    (tmp_path / "own" / "gan" / ".1.ab.partial").mkdir(parents=True)
    store = ModelStore([tmp_path / "own", tmp_path / "shipped"])
    assert store.directory("gan", 1).parent.parent == tmp_path / "shipped"


def test_a_link_out_of_the_root_is_passed_over_and_told(store, root, tmp_path, build):
    outside = ModelStore([tmp_path / "outside"])
    outside.publish("gan", build({}))
    root.mkdir()
    (root / "gan").symlink_to(tmp_path / "outside" / "gan")
    assert store.models() == []
    assert store.problems() == [f"{root / 'gan'} is passed over: it leads out of its root or cannot be read."]
    with pytest.raises(NotFound):
        store.versions("gan")
    with pytest.raises(InvalidName, match="leads out of its root"):
        store.publish("gan", build({}))
    assert outside.versions("gan") == [1]


def test_a_version_that_is_a_link_is_not_a_version(store, root, tmp_path, build):
    store.publish("gan", build({}))
    (root / "gan" / "2").symlink_to(tmp_path)
    assert store.versions("gan") == [1]


def test_a_root_may_itself_be_a_link(root, tmp_path, build):
    ModelStore([root]).publish("gan", build({}))
    link = tmp_path / "link"
    link.symlink_to(root)
    store = ModelStore([link])
    assert store.models() == ["gan"]
    assert store.publish("gan", build({})) == 2


def test_a_root_that_is_a_file_is_said_to_be_not_writable(tmp_path, build):
    (tmp_path / "root").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        ModelStore([tmp_path / "root"]).publish("gan", build({}))
