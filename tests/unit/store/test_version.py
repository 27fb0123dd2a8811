import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genservice.errors import IntegrityError, InvalidName, StoreError

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)


@pytest.fixture
def gan(store, build):
    store.publish("gan", build({"w.bin": b"abc", "parts/p.bin": b"xyz"}))
    return store


@pytest.fixture
def folder(gan):
    return gan.directory("gan", 1)


def edit(path, content):
    path.chmod(0o644)
    path.write_bytes(content)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(text, values, max_size=4), text)
def test_a_manifest_is_read_as_it_was_published(store, build, config, summary):
    version = store.publish("gan", build({}, config=config, card={"summary": summary}))
    manifest = store.manifest("gan", version)
    assert manifest.config == config
    assert manifest.card.summary == summary


def test_a_missing_file_is_found(gan, folder):
    (folder / "parts" / "p.bin").unlink()
    with pytest.raises(IntegrityError, match=r"gan/1 lacks parts/p\.bin\."):
        gan.verify("gan", 1)


def test_a_file_that_is_not_listed_is_found(gan, folder):
    (folder / "extra.py").write_text("import os")
    with pytest.raises(IntegrityError, match=r"gan/1 has extra\.py, which its model\.toml does not list"):
        gan.verify("gan", 1)


def test_another_size_is_found(gan, folder):
    edit(folder / "w.bin", b"ab")
    with pytest.raises(IntegrityError, match=r"w\.bin has 2 bytes, and its model\.toml says 3"):
        gan.verify("gan", 1)


def test_another_content_of_the_same_size_is_found(gan, folder):
    edit(folder / "w.bin", b"abd")
    with pytest.raises(IntegrityError, match=r"w\.bin has another SHA-256"):
        gan.verify("gan", 1)


def test_a_link_in_place_of_a_file_is_found_whatever_it_leads_to(gan, folder, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"abc")
    (folder / "w.bin").unlink()
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(IntegrityError, match="has no links"):
        gan.verify("gan", 1)


def test_a_linked_folder_is_found(gan, folder, tmp_path):
    (folder / "more").symlink_to(tmp_path)
    with pytest.raises(IntegrityError, match="has no links"):
        gan.verify("gan", 1)


def test_a_pipe_in_place_of_a_file_is_found_and_not_read(gan, folder):
    (folder / "w.bin").unlink()
    os.mkfifo(folder / "w.bin")
    with pytest.raises(IntegrityError, match="neither a file nor a folder"):
        gan.verify("gan", 1)


HEAD = 'family = "coin"\nplugin = "genservice-coin"\nplugin_version = "1"\n'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"family = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"a = " + b"[" * 10_000, "is not TOML"),
        (b'family = "coin"', "plugin: Field required"),
        (HEAD.encode() + b"unknown = 1", "unknown: Extra inputs are not permitted"),
        (HEAD.encode() + b"[files.w]\nsize_bytes = 3", r"files\.w\.sha256: Field required"),
        (HEAD.encode() + b"format = 'x'", "format: Input should be a valid integer"),
        (HEAD.encode() + b"[serving]\nmax_batch_rows = 0", r"serving\.max_batch_rows"),
    ],
)
def test_a_damaged_manifest_is_named_with_the_reason_on_one_line(gan, folder, build, content, reason):
    gan.publish("vae", build({}))
    edit(folder / "model.toml", content)
    with pytest.raises(IntegrityError, match=rf"gan/1/model\.toml.*{reason}") as damage:
        gan.manifest("gan", 1)
    assert "\n" not in damage.value.message
    assert gan.models() == ["gan", "vae"]
    assert gan.manifest("vae", 1).family == "coin"


def test_a_version_without_a_manifest_is_damaged(gan, folder):
    (folder / "model.toml").unlink()
    for act in [gan.manifest, gan.content_hash, gan.verify]:
        with pytest.raises(IntegrityError, match=r"gan/1/model\.toml cannot be read: No such file"):
            act("gan", 1)


def test_a_format_of_a_newer_release_is_told_before_anything_else_in_it(gan, folder):
    edit(folder / "model.toml", b"format = 2\nwhatever = 1")
    with pytest.raises(StoreError, match="has the format 2, and this release of genservice reads up to 1"):
        gan.manifest("gan", 1)


@pytest.mark.parametrize("path", ["../w.bin", "/etc/passwd", "a/../../w.bin"])
def test_a_manifest_that_lists_a_path_outside_is_refused(gan, folder, path):
    entry = f'[files."{path}"]\nsha256 = "{"0" * 64}"\nsize_bytes = 3'
    edit(folder / "model.toml", (HEAD + entry).encode())
    with pytest.raises(InvalidName, match="cannot be a file of a version"):
        gan.verify("gan", 1)
