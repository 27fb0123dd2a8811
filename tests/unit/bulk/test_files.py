import errno
import os
from pathlib import Path

import pytest

from genservice.bulk import BulkError
from genservice.bulk.files import create_file, locked, replace_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path):
    for content in (b"one", b"two"):
        replace_file(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert names(tmp_path) == ["a"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    replace_file(tmp_path / "a", b"one")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BulkError, match="a cannot be written: No space left on device"):
        replace_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_a_file_is_created_once(tmp_path):
    assert create_file(tmp_path / "a", b"one")
    assert not create_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_what_a_killed_process_left_is_overwritten(tmp_path):
    (tmp_path / ".a.partial").write_bytes(b"half of")
    replace_file(tmp_path / "a", b"one")
    assert names(tmp_path) == ["a"]


def test_a_folder_is_one_processs_at_a_time(tmp_path):
    with locked(tmp_path / "a"):
        with pytest.raises(BulkError, match="a is being written by another process"), locked(tmp_path / "a"):
            pass
        with locked(tmp_path / "b"):
            pass
    with locked(tmp_path / "a"):
        pass
