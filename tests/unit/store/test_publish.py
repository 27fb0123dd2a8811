import os
import signal
import stat
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from genservice.errors import IntegrityError, InvalidName, StoreError
from genservice.store.publish import publish


def test_a_version_has_its_files_and_their_sizes_and_hashes(store, build):
    version = store.publish("gan", build({"w.bin": b"abc", "parts/p.bin": b""}, config={"width": 3}))
    manifest = store.manifest("gan", version)
    assert version == 1
    assert {name: entry.size_bytes for name, entry in manifest.files.items()} == {"parts/p.bin": 0, "w.bin": 3}
    assert manifest.files["w.bin"].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.config == {"width": 3}
    assert store.verify("gan", version) == manifest


def test_files_of_a_version_are_read_only_and_others_may_read_them(store, build):
    folder = store.directory("gan", store.publish("gan", build({"w.bin": b"abc"})))
    for path in folder.iterdir():
        mode = path.stat().st_mode
        assert not mode & 0o222
        assert mode & 0o044, "a server under another user reads them"
    assert folder.stat().st_mode & stat.S_IROTH


def test_while_a_version_is_built_it_is_not_seen(store, build):
    def look(folder):
        assert store.models() == []
        assert folder.name.startswith(".1.")
        assert folder.name.endswith(".partial")
        return build({"w": b""})(folder)

    store.publish("gan", look)
    assert store.models() == ["gan"]


def test_a_build_that_raises_leaves_nothing(store, root):
    def fail(folder):
        (folder / "w").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.publish("gan", fail)
    assert list((root / "gan").iterdir()) == []


def test_a_number_that_another_took_meanwhile_is_passed_over(store, build):
    def slow(folder):
        assert store.publish("gan", build({"w": b"quick"})) == 1
        return build({"w": b"slow"})(folder)

    assert store.publish("gan", slow) == 2
    assert (store.directory("gan", 1) / "w").read_bytes() == b"quick"
    assert (store.directory("gan", 2) / "w").read_bytes() == b"slow"


PUBLISH_FIVE = """
import sys
from pathlib import Path
from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore

def build(folder):
    (folder / "w").write_text(sys.argv[2])
    return Manifest(family="coin", plugin="genservice-coin", plugin_version="1")

store = ModelStore([Path(sys.argv[1])])
sys.stdin.readline()
print(*[store.publish("gan", build) for _ in range(5)])
"""


def test_processes_that_publish_at_once_all_get_numbers_of_their_own(store, root):
    publishers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FIVE, str(root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ["a", "b", "c"]
    ]
    for publisher in publishers:
        publisher.stdin.write("go\n")
        publisher.stdin.flush()
    taken = {name: publisher.communicate()[0].split() for name, publisher in zip("abc", publishers, strict=True)}
    assert sorted(int(number) for numbers in taken.values() for number in numbers) == list(range(1, 16))
    for name, numbers in taken.items():
        for number in map(int, numbers):
            store.verify("gan", number)
            assert (store.directory("gan", number) / "w").read_text() == name


KILLED = """
import os, signal, sys
from pathlib import Path
from genservice.store.store import ModelStore

def build(folder):
    (folder / "w").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

ModelStore([Path(sys.argv[1])]).publish("gan", build)
"""


def test_what_a_killed_publisher_leaves_is_never_a_version_and_is_swept_when_asked(store, root, build):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (root / "gan").iterdir()
    assert store.models() == []
    assert store.publish("gan", build({})) == 1
    assert left.exists(), "nothing is swept that nobody asked for"
    assert store.sweep() == [left]
    assert sorted(path.name for path in (root / "gan").iterdir()) == ["1"]


def test_a_sweep_leaves_what_is_still_being_written(store, build):
    def sweep(folder):
        assert store.sweep() == []
        return build({"w": b""})(folder)

    assert store.publish("gan", sweep) == 1


def test_a_sweep_removes_labels_that_were_half_written(store, root, build):
    store.publish("gan", build({}))
    left = root / "gan" / ".labels.toml.ab.partial"
    left.write_text("stab")
    assert store.sweep() == [left]


def test_a_build_may_not_write_the_manifest_itself(store, build):
    with pytest.raises(StoreError, match=r"model\.toml is written by the store"):
        store.publish("gan", build({"model.toml": b""}))
    assert store.models() == []


def test_a_build_may_not_leave_a_link(store, tmp_path, make_manifest):
    def link(folder):
        (folder / "w").symlink_to(tmp_path)
        return make_manifest()

    with pytest.raises(IntegrityError, match="has no links"):
        store.publish("gan", link)


def test_a_build_may_not_leave_a_pipe(store, make_manifest):
    def pipe(folder):
        os.mkfifo(folder / "w")
        return make_manifest()

    with pytest.raises(IntegrityError, match="neither a file nor a folder"):
        store.publish("gan", pipe)


def test_a_file_name_that_a_manifest_could_not_list_is_refused(store, build):
    with pytest.raises(InvalidName, match="cannot be a file of a version"):
        store.publish("gan", build({"a\\b": b""}))


@pytest.mark.parametrize("value", [None, {1, 2}, np.float32(1.5), "\ud800"])
def test_a_config_that_toml_cannot_hold_is_refused(store, build, value):
    with pytest.raises(StoreError, match="cannot be written as TOML"):
        store.publish("gan", build({}, config={"width": value}))
    assert store.models() == []


def test_model_toml_is_plain_toml(store, build):
    folder = store.directory("gan", store.publish("gan", build({"w": b""}, config={"widths": (1, 2)})))
    content = tomllib.loads((folder / "model.toml").read_text())
    assert content["format"] == 1
    assert content["config"] == {"widths": [1, 2]}
    assert list(content["files"]) == ["w"]


def test_a_number_taken_between_look_and_rename_is_passed_over(store, root, build):
    store.publish("gan", build({"w": b"first"}))
    stale_then_right = iter([1, 1, 2])
    assert publish(root / "gan", build({"w": b"second"}), lambda: next(stale_then_right)) == 2
    assert (store.directory("gan", 1) / "w").read_bytes() == b"first"
    store.verify("gan", 1)
